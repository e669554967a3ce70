/**
 * Shapes of data that comes from outside: files that people edit, output of programs.
 *
 * Small on purpose: a service's runtime is paid for in memory. Any other library that speaks the
 * Standard Schema interface (zod, valibot, arktype) can be given wherever a {@link Schema} is taken.
 */

/** One thing that is wrong, and where. */
export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a check of a value gives. */
export type Checked<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** A check of a value; the Standard Schema interface, version 1. */
export interface Schema<out T> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Checked<T> | Promise<Checked<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

/** What a schema's values are. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** A value is not of the shape that was asked for. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  constructor(
    what: string,
    readonly issues: readonly Issue[],
  ) {
    super(`${what}: ${issues.map(inWords).join('; ')}`);
  }
}

function inWords({ message, path }: Issue): string {
  if (path === undefined || path.length === 0) return message;
  const keys = path.map(part => String(typeof part === 'object' ? part.key : part));
  return `\`${keys.join('.')}\` ${message}`;
}

/**
 * The value, if it has the shape.
 *
 * @throws {SchemaError} that names `what` and everything that is wrong with it.
 * @example
 * ```ts
 * import { parse, shape } from '@coppice/sdk';
 *
 * const port = await parse(shape.integer({ min: 1, max: 65535 }), JSON.parse('8080'), 'the port');
 * ```
 */
export async function parse<T>(schema: Schema<T>, value: unknown, what: string): Promise<T> {
  const checked = await schema['~standard'].validate(value);
  if (checked.issues !== undefined) throw new SchemaError(what, checked.issues);
  return checked.value;
}

/** A schema of this library: it answers at once, and can be varied. */
export class Shape<out T> implements Schema<T> {
  readonly '~standard': Schema<T>['~standard'];

  /** `check` answers for one value. */
  constructor(readonly check: (value: unknown) => Checked<T>) {
    this['~standard'] = { version: 1, vendor: 'coppice', validate: check };
  }

  /**
   * Takes `value` for whatever is missing or wrong: a file broken by hand must not keep a service down.
   *
   * @example
   * ```ts
   * import { shape } from '@coppice/sdk';
   *
   * const settings = shape.object({ greeting: shape.string({ min: 1 }).or('Hello') });
   * ```
   */
  or<const D extends T>(value: D): Shape<T> {
    return new Shape<T>(given => {
      const checked = this.check(given);
      return checked.issues === undefined ? checked : { value };
    });
  }

  /**
   * Takes `null` and nothing for `null`.
   *
   * @example
   * ```ts
   * import { shape } from '@coppice/sdk';
   *
   * const account = shape.object({ name: shape.string(), mail: shape.string().nullable() });
   * ```
   */
  nullable(): Shape<T | null> {
    return new Shape<T | null>(given => (given === null || given === undefined ? { value: null } : this.check(given)));
  }
}

const wrong = (message: string): { readonly issues: readonly Issue[] } => ({ issues: [{ message }] });

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const below = (key: PropertyKey, issues: readonly Issue[]): Issue[] =>
  issues.map(issue => ({ message: issue.message, path: [key, ...(issue.path ?? [])] }));

type Shapes = Readonly<Record<string, Shape<unknown>>>;

/** What an object of these shapes is. */
export type ObjectOf<M extends Shapes> = { readonly [K in keyof M]: Infer<M[K]> };

/**
 * Shapes of JSON-like values.
 *
 * @example
 * ```ts
 * import { shape, type Infer } from '@coppice/sdk';
 *
 * const settings = shape.object({
 *   name: shape.string({ min: 1 }),
 *   mode: shape.oneOf(['fast', 'safe']),
 *   ports: shape.array(shape.integer({ min: 1, max: 65535 })),
 *   notes: shape.string().nullable(),
 * });
 * type Settings = Infer<typeof settings>;
 * ```
 */
export const shape = {
  /** Text of `min` to `max` characters. */
  string({ min = 0, max = Infinity, pattern }: { min?: number; max?: number; pattern?: RegExp } = {}): Shape<string> {
    return new Shape(value => {
      if (typeof value !== 'string') return wrong('must be text');
      if (value.length < min) return wrong(min === 1 ? 'must not be empty' : `must have at least ${min} characters`);
      if (value.length > max) return wrong(`must have at most ${max} characters`);
      if (pattern !== undefined && !pattern.test(value)) return wrong(`must match ${pattern.source}`);
      return { value };
    });
  },

  /** A number from `min` to `max`; text of a number is one, since env and ini files know only text. */
  number({ min = -Infinity, max = Infinity }: { min?: number; max?: number } = {}): Shape<number> {
    return new Shape(given => {
      const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
      if (typeof value !== 'number' || !Number.isFinite(value)) return wrong('must be a number');
      if (value < min) return wrong(`must be at least ${min}`);
      if (value > max) return wrong(`must be at most ${max}`);
      return { value };
    });
  },

  /** A whole number from `min` to `max`. */
  integer(range: { min?: number; max?: number } = {}): Shape<number> {
    const number = shape.number(range);
    return new Shape(given => {
      const checked = number.check(given);
      if (checked.issues === undefined && !Number.isInteger(checked.value)) return wrong('must be a whole number');
      return checked;
    });
  },

  /** True or false, also as text. */
  boolean(): Shape<boolean> {
    return new Shape(value => {
      if (value === true || value === 'true') return { value: true };
      if (value === false || value === 'false') return { value: false };
      return wrong('must be true or false');
    });
  },

  /** One of these texts. */
  oneOf<const V extends string>(values: readonly V[]): Shape<V> {
    return new Shape(given => {
      const value = values.find(known => known === given);
      return value === undefined ? wrong(`must be one of ${values.join(', ')}`) : { value };
    });
  },

  /** A list of what `item` takes. */
  array<T>(item: Shape<T>): Shape<readonly T[]> {
    return new Shape(given => {
      if (!Array.isArray(given)) return wrong('must be a list');
      const values: T[] = [];
      const issues: Issue[] = [];
      given.forEach((one: unknown, index) => {
        const checked = item.check(one);
        if (checked.issues === undefined) values.push(checked.value);
        else issues.push(...below(index, checked.issues));
      });
      return issues.length > 0 ? { issues } : { value: values };
    });
  },

  /** Any keys, each with what `item` takes. */
  record<T>(item: Shape<T>): Shape<Readonly<Record<string, T>>> {
    return new Shape(given => {
      if (!isRecord(given)) return wrong('must be an object');
      const entries: [string, T][] = [];
      const issues: Issue[] = [];
      for (const [key, one] of Object.entries(given)) {
        const checked = item.check(one);
        if (checked.issues === undefined) entries.push([key, checked.value]);
        else issues.push(...below(key, checked.issues));
      }
      return issues.length > 0 ? { issues } : { value: Object.fromEntries(entries) };
    });
  },

  /** These members; others are dropped. */
  object<const M extends Shapes>(members: M): Shape<ObjectOf<M>> {
    return new Shape(given => {
      if (!isRecord(given)) return wrong('must be an object');
      const value: Partial<Record<keyof M, unknown>> = {};
      const issues: Issue[] = [];
      for (const [key, member] of Object.entries(members)) {
        const checked = member.check(given[key]);
        if (checked.issues === undefined) Object.assign(value, { [key]: checked.value });
        else issues.push(...below(key, checked.issues));
      }
      // Every member was checked and none was missing, which is what the type says.
      return issues.length > 0 ? { issues } : { value: value as ObjectOf<M> };
    });
  },

  /** Whatever it is. */
  unknown(): Shape<unknown> {
    return new Shape(value => ({ value }));
  },
};
