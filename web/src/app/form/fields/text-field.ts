import { ChangeDetectionStrategy, Component, computed, input, output, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { ControlFrame } from '../form-field';
import type { TextItemSpec, TextSpec } from '../spec';
import { randomString, securePick } from '../value';

/** One line of text; a secret is dots until shown, and may be made up by the server's rules. */
@Component({
  selector: 'cop-text-field',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <input
      #box
      class="control"
      autocapitalize="off"
      autocomplete="off"
      spellcheck="false"
      [class.mono]="spec().masked"
      [id]="frame().id"
      [type]="type()"
      [attr.inputmode]="spec().inputmode"
      [attr.placeholder]="spec().placeholder"
      [attr.aria-describedby]="frame().describedBy"
      [attr.aria-invalid]="frame().invalid"
      [disabled]="frame().disabled"
      [value]="value()"
      (input)="valueChange.emit(box.value)"
    />
    @if (spec().masked) {
      <button tuiIconButton type="button" size="m" appearance="flat-grayscale" [iconStart]="shown() ? '@tui.eye-off' : '@tui.eye'" (click)="shown.set(!shown())">
        {{ shown() ? 'Hide' : 'Show' }}
      </button>
    }
    @if (spec().generate !== null && !frame().disabled) {
      <button tuiIconButton type="button" size="m" appearance="flat-grayscale" iconStart="@tui.dices" title="Make one up" (click)="generate()">
        Make one up
      </button>
    }
  `,
  styles: `
    :host {
      display: flex;
      gap: 0.25rem;
    }
  `,
})
export class TextField {
  readonly spec = input.required<TextSpec | TextItemSpec>();
  readonly frame = input.required<ControlFrame>();
  readonly value = input.required<string>();
  readonly valueChange = output<string>();
  protected readonly shown = signal(false);
  protected readonly type = computed(() => (this.spec().masked && !this.shown() ? 'password' : 'text'));

  protected generate(): void {
    const { generate } = this.spec();
    if (generate === null) return;
    this.valueChange.emit(randomString(generate, securePick));
    // A made-up secret nobody has seen cannot be written down.
    this.shown.set(true);
  }
}
