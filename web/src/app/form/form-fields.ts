import { ChangeDetectionStrategy, Component, computed, forwardRef, input } from '@angular/core';
import { FormField } from './form-field';
import { join } from './path';
import type { InputSpec, VisibleSpec } from './spec';

/** The fields of a spec, one below the other; hidden ones keep their value unseen. */
@Component({
  selector: 'cop-form-fields',
  imports: [forwardRef(() => FormField)],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (field of fields(); track field.path) {
      <cop-form-field [spec]="field.spec" [path]="field.path" />
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
  /** Of the object the fields belong to; empty for the form itself. */
  readonly path = input.required<string>();

  protected readonly fields = computed(() =>
    Object.entries(this.spec()).flatMap(([key, spec]): { path: string; spec: VisibleSpec }[] =>
      spec.type === 'hidden' ? [] : [{ path: join(this.path(), key), spec }],
    ),
  );
}
