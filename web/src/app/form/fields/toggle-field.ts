import { ChangeDetectionStrategy, Component, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';

@Component({
  selector: 'cop-toggle-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      class="switch"
      type="checkbox"
      role="switch"
      [id]="frame().id"
      [attr.aria-describedby]="frame().describedBy"
      [disabled]="frame().disabled"
      [checked]="value()"
      (change)="valueChange.emit(!value())"
    />
  `,
})
export class ToggleField {
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<boolean>();
  readonly valueChange = output<boolean>();
}
