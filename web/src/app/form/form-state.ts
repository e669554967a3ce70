import { computed, Injectable, signal } from '@angular/core';
import { changedAt, valueAt } from './path';
import type { InputSpec } from './spec';
import { initialValue, type FormValue, type Pick } from './value';
import { validate } from './validate';

/**
 * One open form.
 *
 * Invariant: `value` is the only copy of what the user typed, and every change is made to its
 * newest state; `problems` is always computed from it. A problem is shown once its field was left
 * or the form was submitted, not while typing.
 */
@Injectable()
export class FormState {
  private readonly known = signal<unknown>(null);
  private readonly left = signal<ReadonlySet<string>>(new Set());
  private readonly entered = signal<FormValue>({});
  readonly spec = signal<InputSpec>({});
  readonly value = this.entered.asReadonly();
  /** Whether the user has tried to submit. */
  readonly asked = signal(false);
  readonly problems = computed(() => validate(this.spec(), this.value()));

  /** `given` fills the fields; `known` is what the service already has, for fields that may not change again. */
  open(spec: InputSpec, given: unknown, known: unknown, pick: Pick): void {
    this.known.set(known);
    this.left.set(new Set());
    this.asked.set(false);
    this.entered.set(initialValue(spec, given, pick));
    this.spec.set(spec);
  }

  at(path: string): unknown {
    return valueAt(this.value(), path);
  }

  put(path: string, value: unknown): void {
    this.change(path, () => value);
  }

  /** For values that follow from the one before, such as a list with one entry more. */
  change(path: string, change: (old: unknown) => unknown): void {
    this.entered.update(form => changedAt(form, path, change));
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
    return (valueAt(this.known(), path) ?? null) !== null;
  }
}
