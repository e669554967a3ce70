import { ChangeDetectionStrategy, Component, computed, forwardRef, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';
import { FormFields } from '../form-fields';
import type { UnionSpec } from '../spec';
import { initialValue, isObject, securePick, type FormValue } from '../value';
import { join } from '../validate';
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
          <cop-form-fields [spec]="variant.spec" [path]="path()" [value]="inner()" (valueChange)="change($event)" />
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
  readonly value = input.required<FormValue>();
  readonly valueChange = output<FormValue>();
  private readonly kept = new Map<string, FormValue>();

  protected readonly chosen = computed(() => {
    const selection = this.value()['selection'];
    return typeof selection === 'string' ? selection : '';
  });
  protected readonly inner = computed((): FormValue => {
    const value = this.value()['value'];
    return isObject(value) ? value : {};
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
    this.kept.set(this.chosen(), this.inner());
    const variant = this.spec().variants[selection];
    if (!variant) return;
    const value = this.kept.get(selection) ?? initialValue(variant.spec, null, securePick);
    this.valueChange.emit({ selection, value });
  }

  protected change(value: FormValue): void {
    this.valueChange.emit({ selection: this.chosen(), value });
  }
}
