import { ChangeDetectionStrategy, Component, computed, input, output } from '@angular/core';
import type { ControlFrame } from '../form-field';
import { ChoiceField } from './choice-field';

/** Yes, no, or left to the service. */
@Component({
  selector: 'cop-tri-state-field',
  imports: [ChoiceField],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <cop-choice-field [options]="options" [off]="false" [frame]="frame()" [value]="chosen()" (valueChange)="choose($event)" />
  `,
})
export class TriStateField {
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<unknown>();
  readonly valueChange = output<boolean | null>();
  protected readonly options = { unset: 'Default', yes: 'Yes', no: 'No' };
  protected readonly chosen = computed(() => (this.value() === true ? 'yes' : this.value() === false ? 'no' : 'unset'));

  protected choose(key: string): void {
    this.valueChange.emit(key === 'yes' ? true : key === 'no' ? false : null);
  }
}
