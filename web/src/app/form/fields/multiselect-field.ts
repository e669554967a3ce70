import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import type { ControlFrame } from '../form-field';
import { FormState } from '../form-state';
import type { MultiselectSpec } from '../spec';

/** Any of several, all in sight. */
@Component({
  selector: 'cop-multiselect-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (option of entries(); track option.key) {
      <label [class.off]="option.off">
        <input
          type="checkbox"
          [attr.aria-invalid]="frame().invalid"
          [disabled]="option.off"
          [checked]="option.on"
          (change)="choose(option.key, !option.on)"
        />
        {{ option.label }}
      </label>
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.5rem;
      padding-block: 0.25rem;
    }

    label {
      display: flex;
      align-items: center;
      gap: 0.625rem;
    }

    .off {
      color: var(--tui-text-tertiary);
    }
  `,
})
export class MultiselectField {
  readonly spec = input.required<MultiselectSpec>();
  readonly frame = input.required<ControlFrame>();
  private readonly form = inject(FormState);

  protected readonly entries = computed(() => {
    const { values, disabled } = this.spec();
    const chosen = this.form.at(this.frame().path);
    return Object.entries(values).map(([key, label]) => ({
      key,
      label,
      on: Array.isArray(chosen) && chosen.includes(key),
      off: this.frame().disabled || (Array.isArray(disabled) && disabled.includes(key)),
    }));
  });

  /** Keeps the order of the spec, whatever the order of the clicks. */
  protected choose(key: string, on: boolean): void {
    const keys = this.entries().filter(option => (option.key === key ? on : option.on));
    this.form.put(
      this.frame().path,
      keys.map(option => option.key),
    );
  }
}
