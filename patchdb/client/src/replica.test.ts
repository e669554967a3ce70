import { describe, expect, it } from 'vitest';
import { PatchError } from './patch.js';
import { parseDump, parseResume, parseRevision, ProtocolError, type Revision } from './protocol.js';
import { advanced, fromDump, GapError, resumed, type Replica } from './replica.js';

const position = { epoch: 7, durable: 3, volatile: 1 };

function replica(): Replica {
  return fromDump({
    id: 10,
    value: { a: 1, usage: 50 },
    position,
    undo: [{ op: 'remove', path: '/usage' }],
  });
}

function replace(path: string, value: number): Revision['patch'] {
  return [{ op: 'replace', path, value }];
}

describe('a replica', () => {
  it('knows what is durable and what is laid over it', () => {
    expect(replica().visible).toEqual({ a: 1, usage: 50 });
    expect(replica().base).toEqual({ a: 1 });
  });

  it('takes durable revisions into both trees and volatile ones into the visible', () => {
    const durable = advanced(replica(), { id: 11, prev: 0, durable: 4, patch: replace('/a', 2) });
    expect(durable).toEqual({
      id: 11,
      visible: { a: 2, usage: 50 },
      base: { a: 2 },
      position: { ...position, durable: 4 },
    });
    const volatile = advanced(durable, { id: 12, prev: 11, volatile: 2, patch: replace('/usage', 60) });
    expect(volatile.visible).toEqual({ a: 2, usage: 60 });
    expect(volatile.base).toEqual({ a: 2 });
    expect(volatile.position).toEqual({ epoch: 7, durable: 4, volatile: 2 });
  });

  it('follows a durable revision that went elsewhere below the volatile values', () => {
    const after = advanced(replica(), {
      id: 11,
      durable: 4,
      patch: replace('/usage', 0),
      base: [{ op: 'add', path: '/usage', value: 0 }],
    });
    expect(after.visible).toEqual({ a: 1, usage: 0 });
    expect(after.base).toEqual({ a: 1, usage: 0 });
  });

  it('ignores what it has already, skips ids freely, and notices a gap', () => {
    const start = replica();
    expect(advanced(start, { id: 10, patch: replace('/a', 9) })).toBe(start);
    expect(advanced(start, { id: 99, prev: 10, patch: replace('/a', 9) }).id).toBe(99);
    expect(() => advanced(start, { id: 99, prev: 11, patch: [] })).toThrow(GapError);
    expect(() => advanced(start, { id: 11, patch: [{ op: 'remove', path: '/x' }] })).toThrow(PatchError);
  });

  it('moves its id with a sign of life', () => {
    expect(advanced(replica(), { id: 20, prev: 0, patch: [] })).toEqual({ ...replica(), id: 20 });
  });

  it('catches up from what is durable, and lays the volatile values over it anew', () => {
    const before = replica();
    const after = resumed(before, {
      id: 2000,
      position: { epoch: 8, durable: 5, volatile: 0 },
      base: [{ op: 'add', path: '/b', value: { c: 1 } }],
      overlay: [{ op: 'add', path: '/health', value: 'ok' }],
    });
    expect(after.visible).toEqual({ a: 1, b: { c: 1 }, health: 'ok' });
    expect(after.base).toEqual({ a: 1, b: { c: 1 } });
    expect(after.position?.epoch).toBe(8);
  });

  it('keeps identity over a new dump and works without positions', () => {
    const first = fromDump({ id: 1, value: { a: { b: 1 }, c: 1 } });
    const second = fromDump({ id: 5, value: { a: { b: 1 }, c: 2 } }, first);
    expect(Reflect.get(second.visible as object, 'a')).toBe(Reflect.get(first.visible as object, 'a'));
    const third = advanced(second, { id: 6, patch: replace('/c', 3) });
    expect([third.position, third.base === third.visible]).toEqual([undefined, true]);
  });
});

describe('the protocol', () => {
  it('is read with all its members, and with only those of StartOS', () => {
    const full = { id: 3, prev: 2, durable: 1, patch: [{ op: 'remove', path: '/a' }], base: [] };
    expect(parseRevision(JSON.stringify(full))).toEqual(full);
    expect(parseRevision('{"id":3,"patch":[]}')).toEqual({ id: 3, patch: [] });
    expect(parseDump({ id: 1, value: null })).toEqual({ id: 1, value: null });
    const resume = { id: 1, position, base: [], overlay: [] };
    expect(parseResume(resume)).toEqual(resume);
  });

  it('is checked', () => {
    const bad: unknown[] = [
      undefined, '', '[]', '{}', '{"id":-1,"patch":[]}', '{"id":1.5,"patch":[]}', '{"id":1}',
      '{"id":1,"patch":[{}]}', '{"id":1,"patch":[{"op":"move","from":"/a","path":"/b"}]}',
      '{"id":1,"patch":[{"op":"add","path":"/a"}]}', '{"id":1,"patch":[{"op":"remove","path":"a"}]}',
      '{"id":1,"patch":[],"prev":"0"}',
    ];
    for (const text of bad) expect(() => parseRevision(text), String(text)).toThrow(ProtocolError);
    for (const dump of [null, [], { id: 1 }, { value: 1 }]) {
      expect(() => parseDump(dump)).toThrow(ProtocolError);
    }
    for (const resume of [null, { id: 1, base: [], overlay: [] }, { id: 1, position, base: [] }]) {
      expect(() => parseResume(resume)).toThrow(ProtocolError);
    }
  });
});
