import { describe, expect, it } from 'vitest';
import { changedAt, join, valueAt } from './path';
import { inputSpec, type InputSpec } from './spec';
import { initialItem, initialValue, merged, randomString, submitted, type Pick } from './value';
import { itemTitle, validate } from './validate';

/** Walks 0, 1, 2, … so that "random" text is known. */
const counting = (): Pick => {
  let n = 0;
  return below => n++ % below;
};
const spec = (fields: Record<string, unknown>): InputSpec => inputSpec.parse(fields);
const text = (over: Record<string, unknown> = {}) => ({ type: 'text', name: 'T', patterns: [], required: true, ...over });
const problems = (fields: Record<string, unknown>, value: Record<string, unknown>) =>
  validate(spec(fields), value).map(p => `${p.path}: ${p.message}`);

describe('a form opens', () => {
  const fields = spec({
    name: text({ default: 'Ada' }),
    password: text({ masked: true, default: { charset: 'a-c,X', len: 5 } }),
    port: { type: 'number', name: 'P', integer: true, default: 8080 },
    on: { type: 'toggle', name: 'O', default: true },
    tags: { type: 'list', name: 'L', spec: { type: 'text' }, minLength: 1, default: ['x'] },
    inner: { type: 'object', name: 'I', spec: { mode: { type: 'select', name: 'M', values: { a: 'A', b: 'B' }, default: 'b' } } },
    tls: {
      type: 'union',
      name: 'U',
      default: 'on',
      variants: { off: { name: 'Off', spec: {} }, on: { name: 'On', spec: { cert: text({ required: false, default: null }) } } },
    },
    id: { type: 'hidden' },
  });
  it('with each field\'s default, generated ones included', () => {
    expect(initialValue(fields, null, counting())).toEqual({
      name: 'Ada',
      password: 'abcXa',
      port: 8080,
      on: true,
      tags: ['x'],
      inner: { mode: 'b' },
      tls: { selection: 'on', value: { cert: null } },
      id: null,
    });
  });
  it('with what the service has, where it has something', () => {
    const value = initialValue(fields, { name: 'Bob', tags: [], tls: { selection: 'off' }, id: 7 }, counting());
    expect(value).toMatchObject({ name: 'Bob', tags: [''], tls: { selection: 'off', value: {} }, id: 7 });
  });
  it('and a task\'s wish is laid over what the service has', () => {
    expect(merged({ a: 1, b: { c: 2, d: [1] } }, { b: { d: [2], e: 3 } })).toEqual({ a: 1, b: { c: 2, d: [2], e: 3 } });
  });
  it('refuses a field kind it could not show', () => {
    expect(inputSpec.safeParse({ f: { type: 'file', name: 'F', extensions: [] } }).success).toBe(false);
  });
});

describe('validation says', () => {
  it('what is missing', () => {
    expect(problems({ a: text(), b: text({ required: false }) }, { a: '', b: null })).toEqual(['a: This is needed.']);
  });
  it('lengths, then the first pattern that fails in the package\'s words', () => {
    const patterns = [{ regex: '^[a-z]+$', description: 'Only small letters.' }];
    const f = { a: text({ minLength: 2, maxLength: 4, patterns }) };
    expect(problems(f, { a: 'x' })).toEqual(['a: Use at least 2 characters.']);
    expect(problems(f, { a: 'abcde' })).toEqual(['a: Use at most 4 characters; these are 5.']);
    expect(problems(f, { a: 'AB' })).toEqual(['a: Only small letters.']);
    expect(problems(f, { a: 'ab' })).toEqual([]);
  });
  it('nothing about a pattern nobody can read', () => {
    expect(problems({ a: text({ patterns: [{ regex: '(', description: 'x' }] }) }, { a: 'b' })).toEqual([]);
  });
  it('number rules, decimal steps included', () => {
    const n = (over: Record<string, unknown>) => ({ a: { type: 'number', name: 'N', required: true, ...over } });
    expect(problems(n({ integer: true }), { a: 1.5 })).toEqual(['a: Enter a whole number.']);
    expect(problems(n({ min: 1, max: 5 }), { a: 0 })).toEqual(['a: Enter 1 or more.']);
    expect(problems(n({ min: 1, max: 5 }), { a: 6 })).toEqual(['a: Enter 5 or less.']);
    expect(problems(n({ step: 0.1 }), { a: 0.3 })).toEqual([]);
    expect(problems(n({ step: 0.1 }), { a: 0.35 })).toEqual(['a: Use steps of 0.1.']);
    expect(problems(n({}), { a: null })).toEqual(['a: This is needed.']);
  });
  it('choices that are gone, too few or too many', () => {
    const values = { a: 'A', b: 'B' };
    expect(problems({ s: { type: 'select', name: 'S', values } }, { s: 'z' })).toEqual([
      's: This choice is no longer offered. Choose another.',
    ]);
    expect(problems({ m: { type: 'multiselect', name: 'M', values, minLength: 1 } }, { m: [] })).toEqual([
      'm: Choose at least 1 choice.',
    ]);
  });
  it('where in a list, an object or the chosen variant something is wrong', () => {
    const account = { type: 'object', spec: { mail: text(), port: { type: 'number', name: 'P', required: true } }, uniqueBy: 'mail' };
    const f = {
      accounts: { type: 'list', name: 'A', spec: account, minLength: 1 },
      tls: { type: 'union', name: 'U', variants: { on: { name: 'On', spec: { cert: text() } }, off: { name: 'Off', spec: {} } } },
    };
    const value = {
      accounts: [{ mail: 'a', port: 1 }, { mail: '', port: null }, { mail: 'a', port: 2 }],
      tls: { selection: 'on', value: { cert: null } },
    };
    expect(problems(f, value)).toEqual([
      'accounts/1/mail: This is needed.',
      'accounts/1/port: This is needed.',
      'accounts/2: This is the same as entry 1.',
      'tls/value/cert: This is needed.',
    ]);
    expect(problems(f, { accounts: [], tls: { selection: null, value: {} } })).toEqual([
      'accounts: Add at least 1 entry.',
      'tls: Choose one.',
    ]);
  });
});

describe('a place in a form', () => {
  const form = { a: { b: [{ c: 1 }, { c: 2 }] }, d: { e: 3 } };
  it('is read and changed by its path, leaving the rest as it was', () => {
    const next = changedAt(form, 'a/b/1/c', old => Number(old) + 5);
    expect([valueAt(next, 'a/b/1/c'), valueAt(next, 'a/b/0/c'), valueAt(next, 'x/y')]).toEqual([7, 1, undefined]);
    expect(next['d']).toBe(form.d);
    expect(form.a.b[1]?.c).toBe(2);
  });
  it('may have keys with a slash in them', () => {
    const path = join(join('', 'a/b'), 'c~1');
    expect(valueAt(changedAt({}, path, () => 'x'), path)).toBe('x');
  });
});

describe('small parts', () => {
  it('a generated text uses every character of its set and nothing else', () => {
    expect(randomString({ charset: 'a-d,_', len: 10 }, counting())).toBe('abcd_abcd_');
    expect(randomString({ charset: '', len: 10 }, counting())).toBe('');
  });
  it('blank text is sent as null, at every depth', () => {
    const f = spec({ a: text(), o: { type: 'object', name: 'O', spec: { b: text() } }, l: { type: 'list', name: 'L', spec: { type: 'text' } } });
    expect(submitted(f, { a: '', o: { b: '' }, l: ['x'] })).toEqual({ a: null, o: { b: null }, l: ['x'] });
  });
  it('a list entry is named by the package\'s template, else by its number', () => {
    expect(itemTitle('{{name}} on {{ port }}', { name: 'db', port: 5 }, 0)).toBe('db on 5');
    expect(itemTitle('{{name}}', { name: null }, 1)).toBe('Entry 2');
    expect(itemTitle(null, {}, 0)).toBe('Entry 1');
  });
  it('a new list entry has a place for every field', () => {
    const f = spec({ l: { type: 'list', name: 'L', spec: { type: 'object', spec: { a: text({ default: 'x' }) } } } })['l'];
    expect(f?.type === 'list' && initialItem(f, undefined, counting())).toEqual({ a: 'x' });
  });
});
