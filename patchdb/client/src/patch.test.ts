import { describe, expect, it } from 'vitest';
import type { Json } from './json.js';
import { reconcile } from './json.js';
import { applyPatch, PatchError, type Op } from './patch.js';
import { pointer, segmentsOf, valueAt } from './pointer.js';

describe('a pointer', () => {
  it('is escaped and unescaped in the order of the RFC', () => {
    expect(segmentsOf('/a~1b/~01/~0/')).toEqual(['a/b', '~1', '~', '']);
    expect(pointer('a/b', '~1', '~', '', 0)).toBe('/a~1b/~01/~0//0');
    expect(segmentsOf('')).toEqual([]);
  });

  it('that is none is noticed', () => {
    for (const bad of ['a', '/~', '/~2']) expect(segmentsOf(bad)).toBeUndefined();
  });

  it('finds members and elements, and nothing that is inherited', () => {
    const tree: Json = { a: [{ b: 1 }], '': 2 };
    expect(valueAt(tree, '/a/0/b')).toBe(1);
    expect(valueAt(tree, '/')).toBe(2);
    for (const nothing of ['/a/01', '/a/-', '/a/1', '/constructor', '/a/length', '/a/0/b/c', 'a']) {
      expect(valueAt(tree, nothing)).toBeUndefined();
    }
  });
});

describe('a patch', () => {
  it('changes nothing in place and shares what it does not touch', () => {
    const before = { a: { b: 1 }, c: { d: [1, 2] } };
    const frozen = structuredClone(before);
    const after = applyPatch(before, [{ op: 'replace', path: '/a/b', value: 2 }]) as typeof before;
    expect(after).toEqual({ a: { b: 2 }, c: { d: [1, 2] } });
    expect(before).toEqual(frozen);
    expect(after.c).toBe(before.c);
  });

  it('adds, replaces and removes members and elements', () => {
    const cases: [Json, Op, Json][] = [
      [{}, { op: 'add', path: '/a', value: 1 }, { a: 1 }],
      [{ a: 1 }, { op: 'replace', path: '/b', value: 2 }, { a: 1, b: 2 }],
      [{ a: 1, b: 2 }, { op: 'remove', path: '/a' }, { b: 2 }],
      [[1, 3], { op: 'add', path: '/1', value: 2 }, [1, 2, 3]],
      [[1], { op: 'add', path: '/-', value: 2 }, [1, 2]],
      [[1], { op: 'add', path: '/1', value: 2 }, [1, 2]],
      [[1, 2], { op: 'replace', path: '/0', value: 0 }, [0, 2]],
      [[1], { op: 'replace', path: '/1', value: 2 }, [1, 2]],
      [[1, 2], { op: 'remove', path: '/0' }, [2]],
      [[[{ a: 1 }]], { op: 'replace', path: '/0/0/a', value: null }, [[{ a: null }]]],
      [{ a: 1 }, { op: 'replace', path: '', value: [] }, []],
      [{ a: 1 }, { op: 'remove', path: '' }, null],
    ];
    for (const [before, op, after] of cases) expect(applyPatch(before, [op])).toEqual(after);
  });

  it('that does not fit is an error naming the operation', () => {
    const cases: [Json, Op][] = [
      [{}, { op: 'remove', path: '/a' }],
      [{}, { op: 'add', path: '/a/b', value: 1 }],
      [{ a: 1 }, { op: 'add', path: '/a/b', value: 1 }],
      [[], { op: 'remove', path: '/0' }],
      [[], { op: 'add', path: '/1', value: 1 }],
      [[], { op: 'add', path: '/x', value: 1 }],
      [[1], { op: 'add', path: '/1/a', value: 1 }],
      [null, { op: 'add', path: '/a', value: 1 }],
    ];
    for (const [before, op] of cases) {
      expect(() => applyPatch(before, [op])).toThrow(PatchError);
    }
  });

  it('cannot reach a prototype', () => {
    const value = { polluted: true };
    const after = applyPatch({}, [{ op: 'add', path: '/__proto__', value }]);
    expect(Object.hasOwn(after as object, '__proto__')).toBe(true);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    const inside: Op = { op: 'add', path: '/constructor/x', value: 1 };
    expect(() => applyPatch({}, [inside])).toThrow(PatchError);
  });
});

describe('reconciling', () => {
  it('keeps the identity of what did not change', () => {
    const before = { a: { b: [1, { c: 2 }] }, d: { e: 3 } };
    const after = reconcile(before, { a: { b: [1, { c: 2 }] }, d: { e: 4 } }) as typeof before;
    expect(after).toEqual({ a: { b: [1, { c: 2 }] }, d: { e: 4 } });
    expect(after.a).toBe(before.a);
    expect(reconcile(before, structuredClone(before))).toBe(before);
  });

  it('sees what was added and what is gone', () => {
    expect(reconcile({ a: 1, b: 2 }, { b: 2 })).toEqual({ b: 2 });
    expect(reconcile({ a: 1 }, { a: 1, b: null })).toEqual({ a: 1, b: null });
    expect(reconcile([1, 2], [1])).toEqual([1]);
    expect(reconcile([1], { 0: 1 })).toEqual({ 0: 1 });
  });
});
