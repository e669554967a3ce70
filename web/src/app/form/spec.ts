/**
 * The form a package asks for: StartOS InputSpec, as far as a browser can fill it in.
 *
 * Invariant: a spec that passed `inputSpec` can be rendered; a field kind that is not known makes
 * the whole spec fail, because leaving a field out would submit a form nobody saw.
 */
import * as z from 'zod/mini';

const nullable = <T extends z.ZodMiniType>(schema: T) => z._default(z.nullable(schema), null);
const flag = z._default(z.boolean(), false);

const randomString = z.object({ charset: z.string(), len: z.number() });
export type RandomString = z.infer<typeof randomString>;
const defaultString = z.union([z.string(), randomString]);

const head = {
  name: z.string(),
  description: nullable(z.string()),
  warning: nullable(z.string()),
  footnote: nullable(z.string()),
};
/** `false`, or the reason why it is off. */
const disabled = z._default(z.union([z.literal(false), z.string()]), false);
/** The same, or the list of options that are off. */
const disabledOptions = z._default(z.union([z.literal(false), z.string(), z.array(z.string())]), false);

const pattern = z.object({ regex: z.string(), description: z.string() });
export type Pattern = z.infer<typeof pattern>;

const textRules = {
  patterns: z._default(z.array(pattern), []),
  minLength: nullable(z.number()),
  maxLength: nullable(z.number()),
  placeholder: nullable(z.string()),
};
const inputmode = z._default(z.enum(['text', 'email', 'tel', 'url']), 'text');

const text = z.object({
  ...head,
  ...textRules,
  type: z.literal('text'),
  masked: flag,
  inputmode,
  required: flag,
  default: nullable(defaultString),
  disabled,
  generate: nullable(randomString),
  immutable: flag,
});
export type TextSpec = z.infer<typeof text>;

const textarea = z.object({
  ...head,
  ...textRules,
  type: z.literal('textarea'),
  minRows: z._default(z.number(), 3),
  maxRows: z._default(z.number(), 6),
  required: flag,
  default: nullable(z.string()),
  disabled,
  immutable: flag,
});
export type TextareaSpec = z.infer<typeof textarea>;

const number = z.object({
  ...head,
  type: z.literal('number'),
  min: nullable(z.number()),
  max: nullable(z.number()),
  integer: flag,
  step: nullable(z.number()),
  units: nullable(z.string()),
  placeholder: nullable(z.string()),
  required: flag,
  default: nullable(z.number()),
  disabled,
  immutable: flag,
});
export type NumberSpec = z.infer<typeof number>;

const color = z.object({
  ...head,
  type: z.literal('color'),
  required: flag,
  default: nullable(z.string()),
  disabled,
  immutable: flag,
});
export type ColorSpec = z.infer<typeof color>;

const datetime = z.object({
  ...head,
  type: z.literal('datetime'),
  required: flag,
  inputmode: z._default(z.enum(['date', 'time', 'datetime-local']), 'datetime-local'),
  min: nullable(z.string()),
  max: nullable(z.string()),
  default: nullable(z.string()),
  disabled,
  immutable: flag,
});
export type DatetimeSpec = z.infer<typeof datetime>;

const toggle = z.object({
  ...head,
  type: z.literal('toggle'),
  default: nullable(z.boolean()),
  disabled,
  immutable: flag,
});
export type ToggleSpec = z.infer<typeof toggle>;

const triState = z.object({
  ...head,
  type: z.literal('triState'),
  default: nullable(z.boolean()),
  disabled,
  immutable: flag,
});
export type TriStateSpec = z.infer<typeof triState>;

const options = z.record(z.string(), z.string());

const select = z.object({
  ...head,
  type: z.literal('select'),
  values: options,
  default: nullable(z.string()),
  disabled: disabledOptions,
  immutable: flag,
});
export type SelectSpec = z.infer<typeof select>;

const multiselect = z.object({
  ...head,
  type: z.literal('multiselect'),
  values: options,
  minLength: nullable(z.number()),
  maxLength: nullable(z.number()),
  default: z._default(z.array(z.string()), []),
  disabled: disabledOptions,
  immutable: flag,
});
export type MultiselectSpec = z.infer<typeof multiselect>;

const hidden = z.object({ type: z.literal('hidden') });

export type UniqueBy = string | null | { any: UniqueBy[] } | { all: UniqueBy[] };
const uniqueBy: z.ZodMiniType<UniqueBy> = z.union([
  z.string(),
  z.null(),
  z.object({ any: z.lazy(() => z.array(uniqueBy)) }),
  z.object({ all: z.lazy(() => z.array(uniqueBy)) }),
]);

const textItem = z.object({
  ...textRules,
  type: z.literal('text'),
  masked: flag,
  inputmode,
  generate: nullable(randomString),
});
export type TextItemSpec = z.infer<typeof textItem>;

export interface ObjectItemSpec {
  type: 'object';
  spec: InputSpec;
  uniqueBy: UniqueBy;
  displayAs: string | null;
}
const objectItem = z.object({
  type: z.literal('object'),
  spec: z.lazy(() => inputSpec),
  uniqueBy: nullable(uniqueBy),
  displayAs: nullable(z.string()),
});

interface Head {
  name: string;
  description: string | null;
  warning: string | null;
  footnote: string | null;
}
export interface ListSpec extends Head {
  type: 'list';
  spec: TextItemSpec | ObjectItemSpec;
  minLength: number | null;
  maxLength: number | null;
  disabled: false | string;
  default: unknown[];
}
export interface ObjectSpec extends Head {
  type: 'object';
  spec: InputSpec;
}
export interface UnionSpec extends Head {
  type: 'union';
  variants: Record<string, { name: string; spec: InputSpec }>;
  disabled: false | string | string[];
  default: string | null;
  immutable: boolean;
}
export type FieldSpec =
  | TextSpec
  | TextareaSpec
  | NumberSpec
  | ColorSpec
  | DatetimeSpec
  | ToggleSpec
  | TriStateSpec
  | SelectSpec
  | MultiselectSpec
  | ListSpec
  | ObjectSpec
  | UnionSpec
  | { type: 'hidden' };
export type InputSpec = Record<string, FieldSpec>;
/** Every kind but `hidden`: the ones with a name and a place on the page. */
export type VisibleSpec = Exclude<FieldSpec, { type: 'hidden' }>;

const list: z.ZodMiniType<ListSpec> = z.object({
  ...head,
  type: z.literal('list'),
  spec: z.union([textItem, objectItem]),
  minLength: nullable(z.number()),
  maxLength: nullable(z.number()),
  disabled,
  default: z._default(z.array(z.unknown()), []),
});
const object: z.ZodMiniType<ObjectSpec> = z.object({
  ...head,
  type: z.literal('object'),
  spec: z.lazy(() => inputSpec),
});
const union: z.ZodMiniType<UnionSpec> = z.object({
  ...head,
  type: z.literal('union'),
  variants: z.lazy(() => z.record(z.string(), z.object({ name: z.string(), spec: inputSpec }))),
  disabled: disabledOptions,
  default: nullable(z.string()),
  immutable: flag,
});

export const inputSpec: z.ZodMiniType<InputSpec> = z.record(
  z.string(),
  z.lazy(
    (): z.ZodMiniType<FieldSpec> =>
      z.union([
        text,
        textarea,
        number,
        color,
        datetime,
        toggle,
        triState,
        select,
        multiselect,
        list,
        object,
        union,
        hidden,
      ]),
  ),
);

/** What `package.action.get-input` answers; null when the action has no form. */
export const actionInput = z.nullable(
  z.object({
    eventId: z.string(),
    spec: inputSpec,
    value: z._default(z.nullable(z.record(z.string(), z.unknown())), null),
  }),
);
export type ActionInput = NonNullable<z.infer<typeof actionInput>>;
