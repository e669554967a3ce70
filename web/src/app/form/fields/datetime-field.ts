import { ChangeDetectionStrategy, Component, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';
import type { DatetimeSpec } from '../spec';

/** A date, a time or both, with the browser's own picker. */
@Component({
  selector: 'cop-datetime-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      #box
      class="control"
      [id]="frame().id"
      [type]="spec().inputmode"
      [attr.min]="spec().min"
      [attr.max]="spec().max"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      [value]="value()"
      (input)="valueChange.emit(box.value)"
    />
  `,
  styles: `
    input {
      max-inline-size: 16rem;
    }
  `,
})
export class DatetimeField {
  readonly spec = input.required<DatetimeSpec>();
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<string>();
  readonly valueChange = output<string>();
}
