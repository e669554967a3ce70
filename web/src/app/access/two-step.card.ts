import { ChangeDetectionStrategy, Component, computed, inject, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { TwoStep } from '../api/access';
import { Access } from '../state/access';
import { Notices } from '../state/notices';
import { TwoStepDialog } from './two-step.dialog';

/** Whether a code of an authenticator app is asked for after the password. */
@Component({
  selector: 'cop-two-step-card',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div class="head">
      <h2>Two-step login</h2>
      @if (known(); as known) {
        <button tuiButton type="button" size="s" appearance="secondary-grayscale" (click)="change(known.enabled)">
          {{ known.enabled ? 'Switch off' : 'Set up' }}
        </button>
      }
    </div>
    <p class="muted" aria-live="polite">{{ words() }}</p>
  `,
  styleUrl: './list.less',
})
export class TwoStepCard {
  private readonly access = inject(Access);
  private readonly notices = inject(Notices);
  protected readonly known = signal<TwoStep | null>(null);
  protected readonly words = computed(() => {
    const known = this.known();
    if (!known) return '';
    if (!known.enabled) return 'Off: whoever has your password gets in.';
    const left = known.recoveryCodesLeft;
    return `On: a code of your authenticator app is needed, too. ${left === 1 ? 'One recovery code is' : `${left} recovery codes are`} left.`;
  });

  constructor() {
    void this.load();
  }

  protected change(enabled: boolean): void {
    const label = enabled ? 'Switch off two-step login' : 'Set up two-step login';
    this.notices.dialog(TwoStepDialog, label, { size: 's', dismissible: false, data: { enabled, changed: () => void this.load() } });
  }

  private async load(): Promise<void> {
    await this.notices.guard(async () => this.known.set(await this.access.twoStep()));
  }
}
