import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import type { PackageEntry } from '../api/schema';
import { Commands } from '../state/commands';
import { controls, type Command } from '../words/controls';

const ICONS: Record<Command, string> = {
  start: '@tui.play',
  stop: '@tui.square',
  restart: '@tui.rotate-cw',
};

/** Start, Stop and Restart, as far as they make sense now. Compact: icons with names for readers. */
@Component({
  selector: 'cop-service-controls',
  imports: [TuiButton, TuiButtonLoading],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (control of controls(); track control.command) {
      @if (compact()) {
        <button
          tuiIconButton
          type="button"
          size="s"
          appearance="secondary-grayscale"
          [iconStart]="icons[control.command]"
          [disabled]="control.blocked !== null"
          [loading]="commands.pending(control.command, id())"
          [attr.title]="control.blocked ?? control.label"
          (click)="run(control.command)"
        >
          {{ control.label }} {{ title() }}
        </button>
      } @else {
        <button
          tuiButton
          type="button"
          size="m"
          [appearance]="control.command === 'start' ? 'primary' : 'secondary-grayscale'"
          [iconStart]="icons[control.command]"
          [disabled]="control.blocked !== null"
          [loading]="commands.pending(control.command, id())"
          [attr.title]="control.blocked"
          (click)="run(control.command)"
        >
          {{ control.label }}
        </button>
      }
    }
  `,
  styles: `
    :host {
      display: contents;
    }
  `,
})
export class ServiceControls {
  readonly id = input.required<string>();
  readonly title = input.required<string>();
  readonly entry = input.required<PackageEntry>();
  readonly compact = input(false);
  protected readonly commands = inject(Commands);
  protected readonly icons = ICONS;
  protected readonly controls = computed(() => controls(this.entry()));

  protected run(command: Command): void {
    void this.commands.run(command, this.id(), this.title());
  }
}
