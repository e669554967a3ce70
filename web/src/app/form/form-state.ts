import { computed, Injectable, signal } from '@angular/core';
import type { InputSpec } from './spec';
import { initialValue, isObject, type FormValue, type Pick } from './value';
import { validate } from './validate';

/**
 * One open form.
 *
 * Invariant: `value` is the only copy of what the user typed; `problems` is always computed from
 * it. A problem is shown once its field was left or the form was submitted, not while typing.
 */
@Injectable()
export class FormState {
  private readonly known = signal<unknown>(null);
  private readonly left = signal<ReadonlySet<string>>(new Set());
  readonly spec = signal<InputSpec>({});
  readonly value = signal<FormValue>({});
  /** Whether the user has tried to submit. */
  readonly asked = signal(false);
  readonly problems = computed(() => validate(this.spec(), this.value()));

  /** `given` fills the fields; `known` is what the service already has, for fields that may not change again. */
  open(spec: InputSpec, given: unknown, known: unknown, pick: Pick): void {
    this.known.set(known);
    this.left.set(new Set());
    this.asked.set(false);
    this.value.set(initialValue(spec, given, pick));
    this.spec.set(spec);
  }

  set(value: FormValue): void {
    this.value.set(value);
  }

  leave(path: string): void {
    if (!this.left().has(path)) this.left.update(set => new Set([...set, path]));
  }

  /** What is wrong with the field, once it is time to say so. */
  problem(path: string): string | null {
    if (!this.asked() && !this.left().has(path)) return null;
    return this.problems().find(p => p.path === path)?.message ?? null;
  }

  /** Whether the service already has a value here. */
  settled(path: string): boolean {
    let value = this.known();
    for (const key of path.split('/')) {
      if (Array.isArray(value)) value = value[Number(key)];
      else if (isObject(value)) value = value[key];
      else return false;
    }
    return value !== undefined && value !== null;
  }
}
