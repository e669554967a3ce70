import { describe, expect, it } from 'vitest';
import { applyPatch } from './patch';

describe('a patch', () => {
  it('adds, replaces and removes, in order', () => {
    const doc = { a: 1, list: ['x'], 'k/~': { b: 2 } };
    expect(
      applyPatch(doc, [
        { op: 'replace', path: '/a', value: 2 },
        { op: 'add', path: '/list/0', value: 'w' },
        { op: 'add', path: '/list/-', value: 'y' },
        { op: 'remove', path: '/k~1~0/b' },
      ]),
    ).toEqual({ a: 2, list: ['w', 'x', 'y'], 'k/~': {} });
  });
  it('leaves the parts it does not touch the same objects', () => {
    const doc = { a: { x: 1 }, b: { y: 1 } };
    const next = applyPatch(doc, [{ op: 'replace', path: '/a/x', value: 2 }]) as typeof doc;
    expect(next.b).toBe(doc.b);
    expect(doc.a.x).toBe(1);
  });
  it('replaces the whole document at the root', () => {
    expect(applyPatch({ a: 1 }, [{ op: 'replace', path: '', value: 5 }])).toBe(5);
  });
  it('that does not fit is an error, not a guess', () => {
    expect(() => applyPatch({}, [{ op: 'add', path: '/a/b', value: 1 }])).toThrow(/a\/b/);
    expect(() => applyPatch([], [{ op: 'replace', path: '/5', value: 1 }])).toThrow(/5/);
  });
});
