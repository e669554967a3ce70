/**
 * What is wrong with a form's value, as sentences at paths.
 *
 * Invariant: an empty list of problems means every rule the spec states holds. The package's own
 * validator may still refuse; its words are then shown above the form.
 */
import { unreachable } from '../words/unreachable';
import { join } from './path';
import type { FieldSpec, InputSpec, ListSpec, Pattern, UniqueBy } from './spec';
import { isObject, type FormValue } from './value';

export interface Problem {
  readonly path: string;
  readonly message: string;
}

export function validate(spec: InputSpec, value: FormValue, path = ''): readonly Problem[] {
  return Object.entries(spec).flatMap(([key, field]) => validateField(field, value[key], join(path, key)));
}

function validateField(field: FieldSpec, value: unknown, path: string): readonly Problem[] {
  const one = (message: string | null): readonly Problem[] => (message === null ? [] : [{ path, message }]);
  switch (field.type) {
    case 'text':
    case 'textarea':
      return one(textProblem(field, field.required, value));
    case 'number':
      return one(numberProblem(field, value));
    case 'color':
      return one(
        blank(value)
          ? required(field.required)
          : /^#[0-9a-f]{6}$/i.test(String(value))
            ? null
            : 'Enter a colour as # and six digits, like #2f7d4f.',
      );
    case 'datetime':
      return one(datetimeProblem(field, value));
    case 'select':
      return one(
        blank(value)
          ? 'Choose one.'
          : !(String(value) in field.values)
            ? 'This choice is no longer offered. Choose another.'
            : null,
      );
    case 'multiselect':
      return one(countProblem(field, Array.isArray(value) ? value.length : 0, 'choice', 'choices', 'Choose'));
    case 'list':
      return validateList(field, Array.isArray(value) ? value : [], path);
    case 'object':
      return validate(field.spec, isObject(value) ? value : {}, path);
    case 'union': {
      const chosen = isObject(value) ? value['selection'] : null;
      const variant = typeof chosen === 'string' ? field.variants[chosen] : undefined;
      if (!variant || !isObject(value)) return one('Choose one.');
      return validate(variant.spec, isObject(value['value']) ? value['value'] : {}, join(path, 'value'));
    }
    case 'toggle':
    case 'triState':
    case 'hidden':
      return [];
    default:
      return unreachable(field);
  }
}

const blank = (value: unknown): boolean => value === null || value === undefined || value === '';
const required = (is: boolean): string | null => (is ? 'This is needed.' : null);

interface TextRules {
  readonly patterns: readonly Pattern[];
  readonly minLength: number | null;
  readonly maxLength: number | null;
}

function textProblem(rules: TextRules, isRequired: boolean, value: unknown): string | null {
  if (blank(value)) return required(isRequired);
  const text = String(value);
  if (rules.minLength !== null && text.length < rules.minLength) {
    return `Use at least ${rules.minLength} characters.`;
  }
  if (rules.maxLength !== null && text.length > rules.maxLength) {
    return `Use at most ${rules.maxLength} characters; these are ${text.length}.`;
  }
  const failed = rules.patterns.find(p => !matches(p.regex, text));
  return failed ? failed.description : null;
}

function matches(regex: string, text: string): boolean {
  try {
    return new RegExp(regex, 'u').test(text);
  } catch {
    // Some packages write escapes that the `u` mode refuses; a pattern no mode can read is the
    // package's fault, and its own validator still has the last word.
    try {
      return new RegExp(regex).test(text);
    } catch {
      return true;
    }
  }
}

function numberProblem(field: Extract<FieldSpec, { type: 'number' }>, value: unknown): string | null {
  if (blank(value)) return required(field.required);
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'Enter a number.';
  if (field.integer && !Number.isInteger(value)) return 'Enter a whole number.';
  if (field.min !== null && value < field.min) return `Enter ${field.min} or more.`;
  if (field.max !== null && value > field.max) return `Enter ${field.max} or less.`;
  if (field.step !== null && field.step > 0) {
    const steps = (value - (field.min ?? 0)) / field.step;
    // Decimal steps such as 0.1 are not exact in binary.
    if (Math.abs(steps - Math.round(steps)) > 1e-9) return `Use steps of ${field.step}.`;
  }
  return null;
}

function datetimeProblem(field: Extract<FieldSpec, { type: 'datetime' }>, value: unknown): string | null {
  if (blank(value)) return required(field.required);
  const text = String(value);
  // ISO forms of one length sort as the times they name.
  if (field.min !== null && text < field.min) return `Choose ${field.min} or later.`;
  if (field.max !== null && text > field.max) return `Choose ${field.max} or earlier.`;
  return null;
}

function countProblem(
  { minLength, maxLength }: { minLength: number | null; maxLength: number | null },
  count: number,
  singular: string,
  plural: string,
  verb: string,
): string | null {
  const words = (n: number) => `${n} ${n === 1 ? singular : plural}`;
  if (minLength !== null && count < minLength) return `${verb} at least ${words(minLength)}.`;
  if (maxLength !== null && count > maxLength) return `At most ${words(maxLength)}.`;
  return null;
}

function validateList(field: ListSpec, items: readonly unknown[], path: string): readonly Problem[] {
  const { spec } = field;
  const problems: Problem[] = [];
  const count = countProblem(field, items.length, 'entry', 'entries', 'Add');
  if (count !== null) problems.push({ path, message: count });
  items.forEach((item, i) => {
    const at = join(path, i);
    if (spec.type === 'text') {
      const message = textProblem(spec, true, item);
      if (message !== null) problems.push({ path: at, message });
      return;
    }
    problems.push(...validate(spec.spec, isObject(item) ? item : {}, at));
    const twin = items.slice(0, i).findIndex(other => same(spec.uniqueBy, item, other));
    if (twin >= 0) problems.push({ path: at, message: `This is the same as entry ${twin + 1}.` });
  });
  return problems;
}

/** Whether two entries count as the same under the package's uniqueness rule. */
function same(rule: UniqueBy, a: unknown, b: unknown): boolean {
  if (rule === null || !isObject(a) || !isObject(b)) return false;
  if (typeof rule === 'string') return a[rule] === b[rule];
  if ('any' in rule) return rule.any.some(r => same(r, a, b));
  return rule.all.length > 0 && rule.all.every(r => same(r, a, b));
}

/** A list entry's heading: the package's template, as `{{name}} at {{host}}`, or its number. */
export function itemTitle(displayAs: string | null, item: unknown, index: number): string {
  const filled = displayAs?.replace(/{{\s*([\w.-]+)\s*}}/g, (_, key: string) => {
    const value = isObject(item) ? item[key] : undefined;
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  });
  return filled?.trim() || `Entry ${index + 1}`;
}
