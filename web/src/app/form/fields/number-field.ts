import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';
import type { NumberSpec } from '../spec';

/** A number with its unit. What is not a number stays in the box as typed and is a problem, not a guess. */
@Component({
  selector: 'cop-number-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      #box
      class="control"
      type="text"
      autocomplete="off"
      [id]="frame().id"
      [attr.inputmode]="spec().integer ? 'numeric' : 'decimal'"
      [attr.placeholder]="spec().placeholder"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      [value]="shown()"
      (input)="typed(box.value)"
    />
    @if (spec().units; as units) {
      <span class="muted">{{ units }}</span>
    }
  `,
  styles: `
    :host {
      display: flex;
      align-items: center;
      gap: 0.625rem;
    }

    input {
      max-inline-size: 14rem;
    }
  `,
})
export class NumberField {
  readonly spec = input.required<NumberSpec>();
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<unknown>();
  readonly valueChange = output<number | string | null>();
  private draft = '';
  protected readonly shown = computed(() => {
    const value = this.value();
    if (typeof value === 'string') return value;
    // "1." and "1.0" are 1 already; do not take the dot away under the typing hand.
    return typeof value === 'number' && Number(this.draft) !== value ? String(value) : value === null ? '' : this.draft;
  });

  protected typed(text: string): void {
    this.draft = text;
    const plain = text.trim().replace(',', '.');
    const value = Number(plain);
    this.valueChange.emit(plain === '' ? null : Number.isFinite(value) ? value : text);
  }
}
