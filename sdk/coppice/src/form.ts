/**
 * Forms: what an action asks for, as data, and what it gets, as a type.
 *
 * Invariant: what a form shows as its rules is applied to what is sent, too: a browser is not the only
 * one that can send. So an action's `run` sees nothing that its form forbids.
 */
import { words, type FieldWords, type Pattern, type RandomText, type WireField } from './form-wire.js';

/** Something that is wrong with what was sent. */
export class FormError extends Error {
  override readonly name = 'FormError';
}

/** One field of a form, and the type of what it gives. */
export interface Field<out T> {
  /** For the browser. */
  readonly wire: WireField;
  /** @throws {FormError} that begins with the field's name. */
  readonly read: (value: unknown) => T;
}

/** Fields by key. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a form with these fields gives. */
export type FormValue<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A form; made by {@link form}. */
export interface Form<F extends Fields> {
  readonly fields: F;
  readonly wire: Readonly<Record<string, WireField>>;
  /** @throws {FormError} */
  readonly read: (value: unknown) => FormValue<F>;
}

/** What a form gives. */
export type Filled<F> = F extends Form<infer Of> ? FormValue<Of> : never;

/** A `Required` that may be left out means yes. */
type Given<T, Required extends boolean> = Required extends false ? T | null : T;

function refuse(name: string, why: string): never {
  throw new FormError(`${name}: ${why}`);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads what may be missing: null where that is allowed. */
function optional<T, R extends boolean>(name: string, required: R | undefined, read: (value: unknown) => T): (value: unknown) => Given<T, R> {
  return value => {
    if (value !== null && value !== undefined && value !== '') return read(value) as Given<T, R>;
    // `required: false` is what makes the type take null.
    return required === false ? (null as Given<T, R>) : refuse(name, 'is needed');
  };
}

interface TextRules {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly patterns?: readonly Pattern[];
}

function readText(name: string, { minLength, maxLength, patterns = [] }: TextRules): (value: unknown) => string {
  return value => {
    if (typeof value !== 'string') refuse(name, 'is to be text');
    if (minLength !== undefined && value.length < minLength) refuse(name, `at least ${minLength} characters`);
    if (maxLength !== undefined && value.length > maxLength) refuse(name, `at most ${maxLength} characters`);
    const missed = patterns.find(pattern => !new RegExp(pattern.regex).test(value));
    if (missed !== undefined) refuse(name, missed.description);
    return value;
  };
}

const textRules = ({ minLength, maxLength, patterns = [] }: TextRules): Record<string, unknown> => ({
  patterns,
  minLength: minLength ?? null,
  maxLength: maxLength ?? null,
});

const FIXED = { disabled: false, immutable: false, footnote: null };

/** Options of {@link fields.text}. */
export interface TextOptions<R extends boolean> extends FieldWords, TextRules {
  /** Whether it may not be left empty; it may not without. */
  readonly required?: R;
  readonly default?: string | RandomText;
  readonly placeholder?: string;
  /** Whether it is shown as dots. */
  readonly masked?: boolean;
  /** Offers a button that makes one up. */
  readonly generate?: RandomText;
  readonly inputmode?: 'text' | 'email' | 'tel' | 'url';
}

/**
 * The fields of forms.
 *
 * @example
 * ```ts
 * import { fields, form, type Filled } from '@coppice/sdk';
 *
 * const account = form({
 *   username: fields.text({ name: 'Username', default: 'admin', maxLength: 32 }),
 *   password: fields.text({ name: 'Password', masked: true, generate: { charset: 'a-z,0-9', len: 24 } }),
 *   mail: fields.text({ name: 'Mail address', required: false, inputmode: 'email' }),
 *   role: fields.select({ name: 'Role', options: { reader: 'Reads', writer: 'Reads and writes' }, default: 'reader' }),
 *   quota: fields.number({ name: 'Quota', min: 1, integer: true, units: 'GB', default: 10 }),
 *   tags: fields.list({ name: 'Tags', maxLength: 10 }),
 *   storage: fields.union({
 *     name: 'Storage',
 *     default: 'local',
 *     variants: {
 *       local: { name: 'On this server', fields: {} },
 *       remote: { name: 'Elsewhere', fields: { url: fields.text({ name: 'URL', inputmode: 'url' }) } },
 *     },
 *   }),
 * });
 * type Account = Filled<typeof account>;
 * const describe = ({ mail, storage }: Account): string =>
 *   `${mail ?? 'no mail'}, ${storage.selection === 'remote' ? storage.value.url : 'here'}`;
 * ```
 */
export const fields = {
  /** One line of text. */
  text<const R extends boolean = true>(o: TextOptions<R>): Field<Given<string, R>> {
    return {
      wire: {
        type: 'text',
        ...words(o),
        ...textRules(o),
        ...FIXED,
        masked: o.masked ?? false,
        inputmode: o.inputmode ?? 'text',
        placeholder: o.placeholder ?? null,
        required: o.required ?? true,
        default: o.default ?? null,
        generate: o.generate ?? null,
      },
      read: optional(o.name, o.required, readText(o.name, o)),
    };
  },

  /** Several lines of text. */
  textarea<const R extends boolean = true>(
    o: FieldWords & TextRules & { readonly required?: R; readonly default?: string; readonly placeholder?: string; readonly rows?: number },
  ): Field<Given<string, R>> {
    return {
      wire: {
        type: 'textarea',
        ...words(o),
        ...textRules(o),
        ...FIXED,
        placeholder: o.placeholder ?? null,
        minRows: o.rows ?? 3,
        maxRows: Math.max(o.rows ?? 3, 6),
        required: o.required ?? true,
        default: o.default ?? null,
      },
      read: optional(o.name, o.required, readText(o.name, o)),
    };
  },

  /** A number. */
  number<const R extends boolean = true>(
    o: FieldWords & {
      readonly required?: R;
      readonly default?: number;
      readonly min?: number;
      readonly max?: number;
      readonly integer?: boolean;
      readonly step?: number;
      readonly units?: string;
      readonly placeholder?: string;
    },
  ): Field<Given<number, R>> {
    const { min, max, integer = false } = o;
    return {
      wire: {
        type: 'number',
        ...words(o),
        ...FIXED,
        min: min ?? null,
        max: max ?? null,
        integer,
        step: o.step ?? null,
        units: o.units ?? null,
        placeholder: o.placeholder ?? null,
        required: o.required ?? true,
        default: o.default ?? null,
      },
      read: optional(o.name, o.required, value => {
        if (typeof value !== 'number' || !Number.isFinite(value)) return refuse(o.name, 'is to be a number');
        if (integer && !Number.isInteger(value)) refuse(o.name, 'is to be a whole number');
        if (min !== undefined && value < min) refuse(o.name, `at least ${min}`);
        if (max !== undefined && value > max) refuse(o.name, `at most ${max}`);
        return value;
      }),
    };
  },

  /** A switch. */
  toggle(o: FieldWords & { readonly default: boolean }): Field<boolean> {
    return {
      wire: { type: 'toggle', ...words(o), ...FIXED, default: o.default },
      read: value => (typeof value === 'boolean' ? value : refuse(o.name, 'is to be on or off')),
    };
  },

  /** A switch with a third position: undecided, null. */
  triState(o: FieldWords & { readonly default?: boolean }): Field<boolean | null> {
    return {
      wire: { type: 'triState', ...words(o), ...FIXED, default: o.default ?? null },
      read: value => (typeof value === 'boolean' ? value : value === null || value === undefined ? null : refuse(o.name, 'is to be yes, no or neither')),
    };
  },

  /** One of several. */
  select<const V extends Readonly<Record<string, string>>>(
    o: FieldWords & { readonly options: V; readonly default?: NoInfer<keyof V & string> },
  ): Field<keyof V & string> {
    return {
      wire: { type: 'select', ...words(o), ...FIXED, values: o.options, default: o.default ?? null },
      read: value => chosen(o.name, o.options, value),
    };
  },

  /** Some of several. */
  multiselect<const V extends Readonly<Record<string, string>>>(
    o: FieldWords & {
      readonly options: V;
      readonly default?: readonly NoInfer<keyof V & string>[];
      readonly minLength?: number;
      readonly maxLength?: number;
    },
  ): Field<readonly (keyof V & string)[]> {
    return {
      wire: { type: 'multiselect', ...words(o), ...FIXED, ...counts(o), values: o.options, default: o.default ?? [] },
      read: value => counted(o, value).map(one => chosen(o.name, o.options, one)),
    };
  },

  /** A colour, as `#rrggbb`. */
  color<const R extends boolean = true>(o: FieldWords & { readonly required?: R; readonly default?: string }): Field<Given<string, R>> {
    const patterns = [{ regex: '^#[0-9a-fA-F]{6}$', description: 'A colour such as #8800ff' }];
    return {
      wire: { type: 'color', ...words(o), ...FIXED, required: o.required ?? true, default: o.default ?? null },
      read: optional(o.name, o.required, readText(o.name, { patterns })),
    };
  },

  /** A date, a time, or both, as HTML writes them. */
  datetime<const R extends boolean = true>(
    o: FieldWords & {
      readonly required?: R;
      readonly kind?: 'date' | 'time' | 'datetime-local';
      readonly default?: string;
      readonly min?: string;
      readonly max?: string;
    },
  ): Field<Given<string, R>> {
    const { min, max } = o;
    const text = readText(o.name, { minLength: 1 });
    return {
      wire: {
        type: 'datetime',
        ...words(o),
        ...FIXED,
        required: o.required ?? true,
        inputmode: o.kind ?? 'datetime-local',
        min: min ?? null,
        max: max ?? null,
        default: o.default ?? null,
      },
      read: optional(o.name, o.required, value => {
        const given = text(value);
        // Written alike, they sort as they follow each other in time.
        if (min !== undefined && given < min) refuse(o.name, `not before ${min}`);
        if (max !== undefined && given > max) refuse(o.name, `not after ${max}`);
        return given;
      }),
    };
  },

  /** Lines of text, as many as are wanted. */
  list(
    o: FieldWords & TextCounts & { readonly item?: TextRules & { readonly placeholder?: string; readonly masked?: boolean } },
  ): Field<readonly string[]> {
    const item = o.item ?? {};
    const read = readText(o.name, item);
    return {
      wire: {
        type: 'list',
        ...words(o),
        ...counts(o),
        disabled: false,
        default: o.default ?? [],
        spec: {
          type: 'text',
          ...textRules(item),
          masked: item.masked ?? false,
          generate: null,
          inputmode: 'text',
          placeholder: item.placeholder ?? null,
        },
      },
      read: value => counted(o, value).map(read),
    };
  },

  /** Small forms, as many as are wanted. */
  listOf<const F extends Fields>(
    o: FieldWords & {
      readonly fields: F;
      /** The key whose value stands for the whole one in the list. */
      readonly displayAs?: NoInfer<keyof F & string>;
      /** The key whose values must differ. */
      readonly uniqueBy?: NoInfer<keyof F & string>;
      readonly minLength?: number;
      readonly maxLength?: number;
    },
  ): Field<readonly FormValue<F>[]> {
    const inner = form(o.fields);
    const { uniqueBy } = o;
    return {
      wire: {
        type: 'list',
        ...words(o),
        ...counts(o),
        disabled: false,
        default: [],
        spec: {
          type: 'object',
          spec: inner.wire,
          displayAs: o.displayAs === undefined ? null : `{{${o.displayAs}}}`,
          uniqueBy: uniqueBy ?? null,
        },
      },
      read: value => {
        const all = counted(o, value).map(one => within(o.name, () => inner.read(one)));
        if (uniqueBy !== undefined && new Set(all.map(one => one[uniqueBy])).size < all.length) {
          refuse(o.name, `two have the same ${uniqueBy}`);
        }
        return all;
      },
    };
  },

  /** Fields that belong together. */
  object<const F extends Fields>(o: FieldWords & { readonly fields: F }): Field<FormValue<F>> {
    const inner = form(o.fields);
    return {
      wire: { type: 'object', ...words(o), spec: inner.wire },
      read: value => within(o.name, () => inner.read(value)),
    };
  },

  /** One of several small forms. */
  union<const V extends Variants>(
    o: FieldWords & { readonly variants: V; readonly default?: NoInfer<keyof V & string> },
  ): Field<OneOf<V>> {
    const forms = Object.fromEntries(Object.entries(o.variants).map(([key, variant]) => [key, form(variant.fields)]));
    return {
      wire: {
        type: 'union',
        ...words(o),
        disabled: false,
        immutable: false,
        default: o.default ?? null,
        variants: Object.fromEntries(Object.entries(o.variants).map(([key, { name }]) => [key, { name, spec: forms[key]?.wire ?? {} }])),
      },
      read: given => {
        const selection = isRecord(given) ? given['selection'] : null;
        const chosenForm = typeof selection === 'string' ? forms[selection] : undefined;
        if (!isRecord(given) || chosenForm === undefined) return refuse(o.name, `is one of ${Object.keys(o.variants).join(', ')}`);
        const value = within(o.name, () => chosenForm.read(given['value'] ?? {}));
        // The form that read it is the one of this selection.
        return { selection, value } as OneOf<V>;
      },
    };
  },

  /** Not shown; whoever sends it decides. */
  hidden(): Field<unknown> {
    return { wire: { type: 'hidden' }, read: value => value };
  },
};

interface TextCounts {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly default?: readonly string[];
}

/** The small forms of a union. */
export type Variants = Readonly<Record<string, { readonly name: string; readonly fields: Fields }>>;

/** What a union gives. */
export type OneOf<V extends Variants> = { readonly [K in keyof V]: { readonly selection: K; readonly value: FormValue<V[K]['fields']> } }[keyof V];

const counts = ({ minLength, maxLength }: { readonly minLength?: number; readonly maxLength?: number }): Record<string, unknown> => ({
  minLength: minLength ?? null,
  maxLength: maxLength ?? null,
});

function counted(o: FieldWords & { readonly minLength?: number; readonly maxLength?: number }, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return refuse(o.name, 'is to be a list');
  if (o.minLength !== undefined && value.length < o.minLength) refuse(o.name, `at least ${o.minLength}`);
  if (o.maxLength !== undefined && value.length > o.maxLength) refuse(o.name, `at most ${o.maxLength}`);
  return value;
}

function chosen<V extends Readonly<Record<string, string>>>(name: string, options: V, value: unknown): keyof V & string {
  if (typeof value !== 'string' || !Object.hasOwn(options, value)) return refuse(name, `is one of ${Object.keys(options).join(', ')}`);
  return value;
}

function within<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormError) throw new FormError(`${name}, ${error.message}`);
    throw error;
  }
}

/**
 * A form of these fields.
 *
 * @example
 * ```ts
 * import { fields, form } from '@coppice/sdk';
 *
 * const greeting = form({
 *   greeting: fields.text({
 *     name: 'Greeting',
 *     maxLength: 200,
 *     patterns: [{ regex: '^\\S(.*\\S)?$', description: 'One line, without spaces around it' }],
 *   }),
 * });
 * const { greeting: text } = greeting.read({ greeting: 'Hi' });
 * ```
 */
export function form<const F extends Fields>(of: F): Form<F> {
  return {
    fields: of,
    wire: Object.fromEntries(Object.entries(of).map(([key, field]) => [key, field.wire])),
    read: value => {
      if (!isRecord(value)) throw new FormError('the form was sent empty');
      const entries = Object.entries(of).map(([key, field]) => [key, field.read(value[key])] as const);
      // Each field gave its own type.
      return Object.fromEntries(entries) as FormValue<F>;
    },
  };
}
