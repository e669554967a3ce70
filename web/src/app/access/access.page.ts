import { ChangeDetectionStrategy, Component } from '@angular/core';
import { SessionsCard } from './sessions.card';
import { TokensCard } from './tokens.card';
import { TwoStepCard } from './two-step.card';

/** Who gets in, and with what. */
@Component({
  selector: 'cop-access-page',
  imports: [SessionsCard, TokensCard, TwoStepCard],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div>
      <h1>Access</h1>
      <p class="muted">Who can reach this server as you, and with what.</p>
    </div>
    <cop-two-step-card class="card" />
    <cop-sessions-card class="card" />
    <cop-tokens-card class="card" />
  `,
  styles: `
    :host {
      display: flex;
      flex-direction: column;
      gap: 1.25rem;
    }
  `,
})
export class AccessPage {}
