import { ChangeDetectionStrategy, Component, computed, inject, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { Grant } from '../api/access';
import { Access } from '../state/access';
import { Clock } from '../state/clock';
import { Notices } from '../state/notices';
import { endsIn, scopeWords } from '../words/access';
import { ago } from '../words/time';
import { TokenDialog } from './token.dialog';

type Kind = 'token' | 'key';

/** Tokens and keys of programs. Keys are added on the command line, where they are made. */
@Component({
  selector: 'cop-tokens-card',
  imports: [TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div class="head">
      <h2>Programs</h2>
      <button tuiButton type="button" size="s" appearance="secondary-grayscale" iconStart="@tui.plus" (click)="make()">Make a token</button>
    </div>
    @if (listed().length > 0) {
      <ul>
        @for (one of listed(); track one.id) {
          <li>
            <div>
              <strong>{{ one.name }}</strong>
              <p class="muted small">{{ one.kind === 'key' ? 'Key' : 'Token' }} that {{ one.scope }}</p>
              <p class="muted small">{{ one.ends }}, {{ one.used }}</p>
            </div>
            <button tuiButton type="button" size="s" appearance="flat-destructive" [attr.aria-label]="'Revoke ' + one.name" (click)="revoke(one.kind, one.id)">
              Revoke
            </button>
          </li>
        }
      </ul>
    } @else {
      <p class="muted">No program has access. A token lets one in without your password, for as much and as long as you say.</p>
    }
  `,
  styleUrl: './list.less',
})
export class TokensCard {
  private readonly access = inject(Access);
  private readonly clock = inject(Clock);
  private readonly notices = inject(Notices);
  private readonly known = signal<readonly { kind: Kind; grant: Grant }[]>([]);

  protected readonly listed = computed(() => {
    const now = this.clock.now();
    return this.known().map(({ kind, grant }) => ({
      kind,
      id: grant.id,
      name: grant.name,
      scope: scopeWords(grant.scope),
      ends: endsIn(grant.expires, now),
      used: grant.lastUsed === null ? 'not used lately' : `last used ${ago(grant.lastUsed, now)}`,
    }));
  });

  constructor() {
    void this.load();
  }

  protected make(): void {
    this.notices.dialog(TokenDialog, 'Make a token', { size: 's', dismissible: false, data: () => void this.load() });
  }

  protected async revoke(kind: Kind, id: string): Promise<void> {
    const revoke = () => (kind === 'key' ? this.access.removeKey(id) : this.access.revokeToken(id));
    await this.notices.guard(revoke, 'It opens nothing any more.');
    await this.load();
  }

  private async load(): Promise<void> {
    await this.notices.guard(async () => {
      const [tokens, keys] = await Promise.all([this.access.tokens(), this.access.keys()]);
      const of = (kind: Kind) => (grant: Grant) => ({ kind, grant });
      this.known.set([...tokens.map(of('token')), ...keys.map(of('key'))]);
    });
  }
}
