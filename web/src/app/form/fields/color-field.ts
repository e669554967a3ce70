import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';

/** A colour by picker or by number. */
@Component({
  selector: 'cop-color-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      #picker
      class="picker"
      type="color"
      aria-label="Pick a colour"
      [disabled]="frame().disabled"
      [value]="picked()"
      (input)="valueChange.emit(picker.value)"
    />
    <input
      #box
      class="control mono"
      type="text"
      autocomplete="off"
      spellcheck="false"
      placeholder="#2f7d4f"
      [id]="frame().id"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      [value]="value()"
      (input)="valueChange.emit(box.value)"
    />
  `,
  styles: `
    :host {
      display: flex;
      align-items: center;
      gap: 0.625rem;
    }

    .control {
      max-inline-size: 10rem;
    }

    .picker {
      inline-size: 2.75rem;
      block-size: 2.75rem;
      padding: 0.1875rem;
      border: 1px solid var(--cop-field);
      border-radius: 0.625rem;
      background: var(--tui-background-base);
    }
  `,
})
export class ColorField {
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<string>();
  readonly valueChange = output<string>();
  protected readonly picked = computed(() => (/^#[0-9a-f]{6}$/i.test(this.value()) ? this.value() : '#808080'));
}
