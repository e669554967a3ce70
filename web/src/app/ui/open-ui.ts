import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';
import { TuiButton, TuiDataList, TuiDropdown } from '@taiga-ui/core';
import type { PackageEntry } from '../api/schema';
import { Store } from '../state/store';
import { openableUis, openTargets } from '../words/addresses';

/** Opens the service in a new tab at its best address; a menu when it has several interfaces. */
@Component({
  selector: 'cop-open-ui',
  imports: [TuiButton, TuiDataList, TuiDropdown],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (only(); as url) {
      @if (!up()) {
        <button tuiButton type="button" disabled iconStart="@tui.external-link" [size]="size()" [appearance]="look()" title="Start the service first.">
          Open
        </button>
      } @else {
        <a
          tuiButton
          target="_blank"
          rel="noopener"
          iconStart="@tui.external-link"
          [href]="url"
          [size]="size()"
          [appearance]="look()"
          [attr.aria-label]="'Open ' + title() + ' in a new tab'"
        >
          Open
        </a>
      }
    } @else if (uis().length > 0) {
      <button
        tuiButton
        type="button"
        iconStart="@tui.external-link"
        iconEnd="@tui.chevron-down"
        [size]="size()"
        [appearance]="look()"
        [disabled]="!up()"
        [tuiDropdown]="menu"
        [(tuiDropdownOpen)]="open"
        [attr.aria-label]="'Open ' + title()"
      >
        Open
      </button>
      <ng-template #menu>
        <tui-data-list class="menu">
          @for (ui of uis(); track ui.id) {
            <a tuiOption target="_blank" rel="noopener" [href]="ui.addresses[0]?.url" (click)="open.set(false)">
              <span class="address">
                {{ ui.name }}
                <span class="muted small">{{ ui.description || ui.addresses[0]?.url }}</span>
              </span>
            </a>
          }
        </tui-data-list>
      </ng-template>
    }
  `,
  styles: `
    :host {
      display: contents;
    }

    .menu {
      max-inline-size: min(24rem, 90vw);
    }

    .address {
      display: grid;
      min-inline-size: 0;
      overflow-wrap: anywhere;
    }
  `,
})
export class OpenUi {
  readonly id = input.required<string>();
  readonly title = input.required<string>();
  readonly entry = input.required<PackageEntry>();
  readonly size = input<'s' | 'm'>('m');

  private readonly store = inject(Store);
  protected readonly open = signal(false);
  protected readonly up = computed(() => this.entry().statusInfo.started !== null);
  protected readonly look = computed(() => (this.up() ? 'primary' : 'secondary-grayscale'));
  protected readonly uis = computed(() => {
    const hostname = this.store.server()?.hostname ?? '';
    return openableUis(openTargets(this.id(), this.entry(), hostname, location));
  });
  protected readonly only = computed(() => {
    const [ui, ...others] = this.uis();
    return others.length === 0 ? ui?.addresses[0]?.url : undefined;
  });
}
