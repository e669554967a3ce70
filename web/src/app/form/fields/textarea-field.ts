import { ChangeDetectionStrategy, Component, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';
import type { TextareaSpec } from '../spec';

@Component({
  selector: 'cop-textarea-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <textarea
      #area
      class="control"
      [id]="frame().id"
      [rows]="spec().minRows"
      [attr.placeholder]="spec().placeholder"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      [value]="value()"
      (input)="valueChange.emit(area.value)"
    ></textarea>
  `,
})
export class TextareaField {
  readonly spec = input.required<TextareaSpec>();
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<string>();
  readonly valueChange = output<string>();
}
