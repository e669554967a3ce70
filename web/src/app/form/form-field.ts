import { ChangeDetectionStrategy, Component, computed, forwardRef, inject, input } from '@angular/core';
import { ChoiceField } from './fields/choice-field';
import { ColorField } from './fields/color-field';
import { DatetimeField } from './fields/datetime-field';
import { ListField } from './fields/list-field';
import { NumberField } from './fields/number-field';
import { TextField } from './fields/text-field';
import { TextareaField } from './fields/textarea-field';
import { ToggleField } from './fields/toggle-field';
import { UnionField } from './fields/union-field';
import { MultiselectField } from './fields/multiselect-field';
import { TriStateField } from './fields/tri-state-field';
import { FormFields } from './form-fields';
import { FormState } from './form-state';
import { Pointer } from './pointer';
import type { VisibleSpec } from './spec';

/** What every control needs besides its value. */
export interface ControlFrame {
  readonly id: string;
  readonly path: string;
  /** Ids of the texts that describe the control. */
  readonly describedBy: string;
  readonly invalid: boolean;
  readonly disabled: boolean;
}

const GROUPS: readonly VisibleSpec['type'][] = ['object', 'list', 'multiselect'];

/** Name, description, warning and problem around the control of one field. */
@Component({
  selector: 'cop-form-field',
  imports: [
    ChoiceField,
    ColorField,
    DatetimeField,
    // Fields nest, so these files import each other; by the time one is drawn, all are there.
    forwardRef(() => FormFields),
    forwardRef(() => ListField),
    MultiselectField,
    NumberField,
    TextField,
    TextareaField,
    ToggleField,
    TriStateField,
    forwardRef(() => UnionField),
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: {
    '[attr.role]': 'group() ? "group" : null',
    '[attr.aria-labelledby]': 'group() ? frame().id + "-name" : null',
    '(focusout)': 'leave()',
  },
  template: `
    @let field = spec();
    @let at = frame();
    <div class="head" [class.inline]="field.type === 'toggle'">
      @if (group()) {
        <span class="name" [id]="at.id + '-name'">{{ field.name }}</span>
      } @else {
        <label class="name" [attr.for]="at.id" [id]="at.id + '-name'">
          {{ field.name }}
          @if (optional()) {
            <span class="muted small">optional</span>
          }
        </label>
      }
      @if (field.type === 'toggle') {
        <cop-toggle-field [frame]="at" [value]="value() === true" (valueChange)="form.put(path(), $event)" />
      }
    </div>
    @if (field.description) {
      <p class="muted small" [id]="at.id + '-description'">{{ field.description }}</p>
    }
    @switch (field.type) {
      @case ('text') {
        <cop-text-field [spec]="field" [frame]="at" [value]="text()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('textarea') {
        <cop-textarea-field [spec]="field" [frame]="at" [value]="text()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('number') {
        <cop-number-field [spec]="field" [frame]="at" [value]="value()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('color') {
        <cop-color-field [frame]="at" [value]="text()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('datetime') {
        <cop-datetime-field [spec]="field" [frame]="at" [value]="text()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('triState') {
        <cop-tri-state-field [frame]="at" [value]="value()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('select') {
        <cop-choice-field [options]="field.values" [off]="field.disabled" [frame]="at" [value]="text()" (valueChange)="form.put(path(), $event)" />
      }
      @case ('multiselect') {
        <cop-multiselect-field [spec]="field" [frame]="at" />
      }
      @case ('list') {
        <cop-list-field [spec]="field" [frame]="at" />
      }
      @case ('object') {
        <div class="nested">
          <cop-form-fields [spec]="field.spec" [path]="path()" />
        </div>
      }
      @case ('union') {
        <cop-union-field [spec]="field" [frame]="at" />
      }
    }
    @if (off(); as reason) {
      <p class="small muted">{{ reason }}</p>
    }
    @if (field.warning) {
      <p class="small care">{{ field.warning }}</p>
    }
    @if (problem(); as problem) {
      <p class="small bad" [id]="at.id + '-problem'">{{ problem }}</p>
    } @else if (field.footnote) {
      <p class="small muted">{{ field.footnote }}</p>
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.375rem;
      min-inline-size: 0;
    }

    .head.inline {
      display: flex;
      align-items: center;
      justify-content: space-between;
      gap: 1rem;
    }

    .name {
      font-weight: 600;
      font-size: 0.9375rem;
    }

    .name .small {
      font-weight: normal;
    }

    .nested {
      padding-inline-start: 0.875rem;
      border-inline-start: 2px solid var(--cop-line);
    }

    .care {
      color: var(--cop-care);
    }

    .bad {
      color: var(--cop-bad);
    }
  `,
})
export class FormField {
  readonly spec = input.required<VisibleSpec>();
  readonly path = input.required<string>();
  protected readonly form = inject(FormState);
  private readonly pointer = inject(Pointer);
  protected readonly value = computed(() => this.form.at(this.path()));

  protected readonly problem = computed(() => this.form.problem(this.path()));
  protected readonly group = computed(() => GROUPS.includes(this.spec().type));
  protected readonly optional = computed(() => {
    const spec = this.spec();
    return 'required' in spec && !spec.required;
  });
  /** Why the field is off; null while it may be changed. */
  protected readonly off = computed(() => {
    const spec = this.spec();
    if ('disabled' in spec && typeof spec.disabled === 'string') return spec.disabled;
    const fixed = 'immutable' in spec && spec.immutable && this.form.settled(this.path());
    return fixed ? 'This was set once and cannot be changed.' : null;
  });
  protected readonly frame = computed((): ControlFrame => {
    const id = `field-${this.path().replaceAll(/[^\w]/g, '-')}`;
    const invalid = this.problem() !== null;
    return {
      id,
      path: this.path(),
      describedBy: `${id}-description${invalid ? ` ${id}-problem` : ''}`,
      invalid,
      disabled: this.off() !== null,
    };
  });

  protected readonly text = computed(() => {
    const value = this.value();
    return typeof value === 'string' ? value : '';
  });

  protected leave(): void {
    const path = this.path();
    this.pointer.whenFree(() => this.form.leave(path));
  }
}
