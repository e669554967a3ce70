import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import { TuiCheckbox } from '@taiga-ui/core';
import type { ControlFrame } from '../form-field';
import type { MultiselectSpec } from '../spec';

/** Any of several, all in sight. */
@Component({
  selector: 'cop-multiselect-field',
  imports: [TuiCheckbox],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (option of entries(); track option.key) {
      <label [class.off]="option.off">
        <input
          tuiCheckbox
          type="checkbox"
          size="s"
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
  readonly value = input.required<readonly unknown[]>();
  readonly valueChange = output<readonly string[]>();

  protected readonly entries = computed(() => {
    const { values, disabled } = this.spec();
    return Object.entries(values).map(([key, label]) => ({
      key,
      label,
      on: this.value().includes(key),
      off: this.frame().disabled || (Array.isArray(disabled) && disabled.includes(key)),
    }));
  });

  /** Keeps the order of the spec, whatever the order of the clicks. */
  protected choose(key: string, on: boolean): void {
    this.valueChange.emit(
      this.entries()
        .filter(option => (option.key === key ? on : option.on))
        .map(option => option.key),
    );
  }
}
