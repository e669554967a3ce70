import { ChangeDetectionStrategy, Component, computed, forwardRef, inject, input } from '@angular/core';
import type { ControlFrame } from '../form-field';
import { FormFields } from '../form-fields';
import { FormState } from '../form-state';
import { join, valueAt } from '../path';
import type { UnionSpec } from '../spec';
import { initialValue, securePick } from '../value';
import { ChoiceField } from './choice-field';

/** A choice that brings its own fields. What was typed into another choice is kept until the form closes. */
@Component({
  selector: 'cop-union-field',
  imports: [ChoiceField, forwardRef(() => FormFields)],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <cop-choice-field [options]="names()" [off]="spec().disabled" [frame]="frame()" [value]="chosen()" (valueChange)="choose($event)" />
    @if (variant(); as variant) {
      @if (fields() > 0) {
        <div class="nested">
          <cop-form-fields [spec]="variant.spec" [path]="path()" />
        </div>
      }
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.875rem;
    }

    .nested {
      padding-inline-start: 0.875rem;
      border-inline-start: 2px solid var(--cop-line);
    }
  `,
})
export class UnionField {
  readonly spec = input.required<UnionSpec>();
  readonly frame = input.required<ControlFrame>();
  private readonly form = inject(FormState);
  private readonly kept = new Map<string, unknown>();

  protected readonly chosen = computed(() => {
    const selection = valueAt(this.form.at(this.frame().path), 'selection');
    return typeof selection === 'string' ? selection : '';
  });
  protected readonly names = computed(() =>
    Object.fromEntries(Object.entries(this.spec().variants).map(([key, { name }]) => [key, name])),
  );
  protected readonly variant = computed(() => this.spec().variants[this.chosen()]);
  protected readonly fields = computed(
    () => Object.values(this.variant()?.spec ?? {}).filter(field => field.type !== 'hidden').length,
  );
  protected readonly path = computed(() => join(this.frame().path, 'value'));

  protected choose(selection: string): void {
    const variant = this.spec().variants[selection];
    if (!variant) return;
    this.form.change(this.frame().path, old => {
      this.kept.set(this.chosen(), valueAt(old, 'value'));
      return { selection, value: this.kept.get(selection) ?? initialValue(variant.spec, null, securePick) };
    });
  }
}
