import { ChangeDetectionStrategy, Component, input, output } from '@angular/core';
import { TuiSwitch } from '@taiga-ui/kit';
import type { ControlFrame } from '../form-field';

@Component({
  selector: 'cop-toggle-field',
  imports: [TuiSwitch],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      tuiSwitch
      type="checkbox"
      [id]="frame().id"
      [showIcons]="false"
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
