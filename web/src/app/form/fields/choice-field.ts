import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';

/** One of several, with the browser's own list: it works everywhere, phones included. */
@Component({
  selector: 'cop-choice-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <select
      #box
      class="control"
      [id]="frame().id"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      (change)="valueChange.emit(box.value)"
    >
      @if (!known()) {
        <option value="" disabled selected>Choose…</option>
      }
      @for (option of entries(); track option.key) {
        <option [value]="option.key" [disabled]="option.off" [selected]="option.key === value()">{{ option.label }}</option>
      }
    </select>
  `,
})
export class ChoiceField {
  /** Label by key. */
  readonly options = input.required<Record<string, string>>();
  /** The keys that may not be chosen; any other form says nothing about options. */
  readonly off = input.required<false | string | readonly string[]>();
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<string>();
  readonly valueChange = output<string>();
  protected readonly known = computed(() => this.value() in this.options());
  protected readonly entries = computed(() => {
    const off = this.off();
    return Object.entries(this.options()).map(([key, label]) => ({
      key,
      label,
      off: Array.isArray(off) && off.includes(key),
    }));
  });
}
