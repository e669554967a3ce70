import { describe, expect, it } from 'vitest';
import { fields, form, type Field } from '../src/index.js';

const words = { name: 'Field' };

describe.each<[string, Field<unknown>, readonly unknown[], readonly (readonly [unknown, string])[]]>([
  [
    'text',
    fields.text({ ...words, minLength: 2, maxLength: 4, patterns: [{ regex: '^a', description: 'Begins with a' }] }),
    ['ab', 'abcd'],
    [['a', 'at least 2'], ['abcde', 'at most 4'], ['bb', 'Begins with a'], [null, 'is needed'], ['', 'is needed'], [5, 'is to be text']],
  ],
  ['text that may be missing', fields.text({ ...words, required: false }), ['a'], [[1, 'is to be text']]],
  ['textarea', fields.textarea({ ...words, maxLength: 5 }), ['a\nb'], [['a\nb\nc\n', 'at most 5']]],
  [
    'number',
    fields.number({ ...words, min: 1, max: 9, integer: true }),
    [1, 9],
    [[0, 'at least 1'], [10, 'at most 9'], [1.5, 'whole number'], ['1', 'is to be a number'], [Number.NaN, 'is to be a number']],
  ],
  ['toggle', fields.toggle({ ...words, default: true }), [true, false], [[null, 'on or off']]],
  ['triState', fields.triState(words), [true, false, null], [['yes', 'yes, no or neither']]],
  ['select', fields.select({ ...words, options: { a: 'A', b: 'B' } }), ['a', 'b'], [['c', 'is one of a, b'], ['toString', 'is one of']]],
  [
    'multiselect',
    fields.multiselect({ ...words, options: { a: 'A', b: 'B' }, minLength: 1, maxLength: 1 }),
    [['a'], ['b']],
    [[[], 'at least 1'], [['a', 'b'], 'at most 1'], [['c'], 'is one of'], ['a', 'is to be a list']],
  ],
  ['color', fields.color(words), ['#00ff00'], [['green', 'A colour']]],
  ['datetime', fields.datetime({ ...words, kind: 'date', min: '2026-01-01', max: '2026-12-31' }), ['2026-05-05'], [['2025-12-31', 'not before'], ['2027-01-01', 'not after']]],
  ['list', fields.list({ ...words, item: { maxLength: 3 }, maxLength: 2 }), [[], ['a', 'b']], [[['long one'], 'at most 3'], [['a', 'b', 'c'], 'at most 2']]],
  [
    'listOf',
    fields.listOf({ ...words, fields: { key: fields.text({ name: 'Key' }) }, uniqueBy: 'key', displayAs: 'key' }),
    [[{ key: 'a' }, { key: 'b' }]],
    [[[{ key: 'a' }, { key: 'a' }], 'two have the same key'], [[{}], 'Field, Key: is needed']],
  ],
  ['object', fields.object({ ...words, fields: { in: fields.number({ name: 'In' }) } }), [{ in: 1 }], [[{ in: 'x' }, 'Field, In: is to be a number'], [null, 'the form was sent empty']]],
  [
    'union',
    fields.union({ ...words, variants: { a: { name: 'A', fields: {} }, b: { name: 'B', fields: { url: fields.text({ name: 'URL' }) } } } }),
    [{ selection: 'a', value: {} }, { selection: 'b', value: { url: 'x' } }],
    [[{ selection: 'c', value: {} }, 'is one of a, b'], [{ selection: 'b', value: {} }, 'Field, URL: is needed'], ['a', 'is one of']],
  ],
])('%s', (_, field, good, bad) => {
  it.each(good.map(value => [value]))('takes %j', value => expect(field.read(value)).toEqual(value));
  it.each(bad)('refuses %j: %s', (value, why) => expect(() => field.read(value)).toThrow(why));
});

it('what may be missing is null', () => {
  expect(fields.text({ ...words, required: false }).read('')).toBeNull();
  expect(fields.number({ ...words, required: false }).read(undefined)).toBeNull();
});

it('a form drops what it does not ask for', () => {
  expect(form({ a: fields.toggle({ name: 'A', default: false }) }).read({ a: true, __proto__: { b: 1 }, c: 2 })).toEqual({ a: true });
});

it('browsers get every member that they look at', () => {
  const { wire } = form({
    text: fields.text({ name: 'T' }),
    list: fields.listOf({ name: 'L', fields: { a: fields.text({ name: 'A' }) }, displayAs: 'a' }),
  });
  expect(wire).toEqual({
    text: {
      type: 'text',
      name: 'T',
      description: null,
      warning: null,
      footnote: null,
      patterns: [],
      minLength: null,
      maxLength: null,
      masked: false,
      inputmode: 'text',
      placeholder: null,
      required: true,
      default: null,
      disabled: false,
      generate: null,
      immutable: false,
    },
    list: expect.objectContaining({ type: 'list', spec: { type: 'object', spec: { a: expect.objectContaining({ type: 'text' }) }, displayAs: '{{a}}', uniqueBy: null } }),
  });
});

it('types follow the fields', () => {
  const { a, b, c } = form({
    a: fields.text({ name: 'A', required: false }),
    b: fields.select({ name: 'B', options: { x: 'X', y: 'Y' }, default: 'x' }),
    c: fields.number({ name: 'C' }),
  }).read({ a: null, b: 'y', c: 2 });
  const typed: [string | null, 'x' | 'y', number] = [a, b, c];
  expect(typed).toEqual([null, 'y', 2]);
  // @ts-expect-error: `z` is no option
  fields.select({ name: 'B', options: { x: 'X' }, default: 'z' });
});
