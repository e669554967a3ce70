import { ChangeDetectionStrategy, Component, computed, input, signal } from '@angular/core';
import { CopyButton } from '../ui/copy-button';
import { QrButton } from '../ui/qr-button';
import type { OpenTarget } from '../words/addresses';
import { TuiButton } from '@taiga-ui/core';

const KINDS = { ui: 'Web page', api: 'For programs', p2p: 'For peers' } as const;

/** Every address of every interface, to open, copy or scan. */
@Component({
  selector: 'cop-addresses-card',
  imports: [CopyButton, QrButton, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (shown().length > 0) {
      <section class="card" aria-labelledby="addresses-title">
        <h2 id="addresses-title">Addresses</h2>
        @for (target of shown(); track target.id) {
          <div class="target">
            <h3>
              {{ target.name }} <span class="muted small kind">{{ kinds[target.type] }}</span>
            </h3>
            @if (target.description) {
              <p class="muted small">{{ target.description }}</p>
            }
            @if (target.masked && !revealed().has(target.id)) {
              <button tuiButton type="button" size="s" appearance="secondary-grayscale" (click)="reveal(target.id)">
                Show the secret addresses
              </button>
            } @else {
              <ul>
                @for (address of target.addresses; track address.url) {
                  <li>
                    <span class="muted small label">{{ address.label }}</span>
                    @if (target.type === 'ui') {
                      <a class="mono url" target="_blank" rel="noopener" [href]="address.url">{{ address.url }}</a>
                    } @else {
                      <span class="mono url">{{ address.url }}</span>
                    }
                    <span class="tools">
                      <cop-copy-button [value]="address.url" what="address" />
                      <cop-qr-button [value]="address.url" />
                    </span>
                  </li>
                } @empty {
                  <li class="muted small">Not reachable from outside the server now.</li>
                }
              </ul>
            }
          </div>
        }
      </section>
    }
  `,
  styles: `
    /* An empty card must not take a gap of the page's column. */
    :host {
      display: contents;
    }

    .target {
      padding-block-start: 0.75rem;
    }

    .target + .target {
      margin-block-start: 0.75rem;
      border-block-start: 1px solid var(--cop-line);
    }

    .kind {
      font-weight: normal;
    }

    li {
      display: grid;
      grid-template-columns: 8rem 1fr auto;
      align-items: center;
      gap: 0.125rem 0.75rem;
    }

    .url {
      overflow-wrap: anywhere;
    }

    .tools {
      display: flex;
    }

    @media (max-width: 40rem) {
      li {
        grid-template-columns: 1fr auto;
        padding-block: 0.25rem;
      }

      .label {
        grid-column: 1 / -1;
      }
    }
  `,
})
export class AddressesCard {
  readonly targets = input.required<readonly OpenTarget[]>();
  protected readonly kinds = KINDS;
  protected readonly revealed = signal<ReadonlySet<string>>(new Set());
  protected readonly shown = computed(() => this.targets().filter(t => t.addresses.length > 0 || t.type === 'ui'));

  protected reveal(id: string): void {
    this.revealed.update(set => new Set([...set, id]));
  }
}
