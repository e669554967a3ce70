import { ChangeDetectionStrategy, Component, computed, forwardRef, input, output } from '@angular/core';
import { FormField } from './form-field';
import type { InputSpec, VisibleSpec } from './spec';
import type { FormValue } from './value';
import { join } from './validate';

/** The fields of a spec, one below the other; hidden ones keep their value unseen. */
@Component({
  selector: 'cop-form-fields',
  imports: [forwardRef(() => FormField)],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (field of fields(); track field.key) {
      <cop-form-field
        [spec]="field.spec"
        [path]="field.path"
        [value]="value()[field.key]"
        (valueChange)="valueChange.emit(changed(field.key, $event))"
      />
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 1.25rem;
      min-inline-size: 0;
    }
  `,
})
export class FormFields {
  readonly spec = input.required<InputSpec>();
  readonly value = input.required<FormValue>();
  readonly path = input.required<string>();
  readonly valueChange = output<FormValue>();

  protected readonly fields = computed(() =>
    Object.entries(this.spec()).flatMap(([key, spec]): { key: string; path: string; spec: VisibleSpec }[] =>
      spec.type === 'hidden' ? [] : [{ key, path: join(this.path(), key), spec }],
    ),
  );

  protected changed(key: string, value: unknown): FormValue {
    return { ...this.value(), [key]: value };
  }
}
