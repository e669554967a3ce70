import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { RouterLink } from '@angular/router';
import { TuiButton } from '@taiga-ui/core';
import type { PackageEntry } from '../api/schema';
import { Clock } from '../state/clock';
import { OpenUi } from '../ui/open-ui';
import { PackageIcon } from '../ui/package-icon';
import { ProgressLine } from '../ui/progress-line';
import { ServiceControls } from '../ui/service-controls';
import { StatusPill } from '../ui/status-pill';
import { manifestOf } from '../words/manifest';
import { progressLook } from '../words/progress';
import { serviceLook } from '../words/status';
import { uptime } from '../words/time';

@Component({
  selector: 'cop-service-row',
  imports: [OpenUi, PackageIcon, ProgressLine, RouterLink, ServiceControls, StatusPill, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <cop-package-icon [icon]="entry().icon" [title]="manifest().title" />
    <div class="title">
      <a [routerLink]="['/services', id()]">{{ manifest().title }}</a>
      <span class="muted small">{{ manifest().version }}</span>
    </div>
    <div class="state">
      <div class="row">
        <cop-status-pill [look]="look()" />
        @if (uptime(); as uptime) {
          <span class="muted small">{{ uptime }}</span>
        }
      </div>
      @if (progress(); as progress) {
        <cop-progress-line [percent]="progress.percent" [label]="look().word + ' ' + manifest().title" />
        <p class="muted small">{{ progress.words }}</p>
      } @else if (look().tone !== 'good' && look().tone !== 'quiet') {
        <p class="muted small why">{{ look().sentence }}</p>
      }
    </div>
    <div class="buttons">
      @if (look().tone === 'care') {
        <a tuiButton size="s" [routerLink]="['/services', id()]" [attr.aria-label]="'See the task of ' + manifest().title">See task</a>
      } @else {
        <cop-service-controls [compact]="true" [id]="id()" [title]="manifest().title" [entry]="entry()" />
        <cop-open-ui size="s" [id]="id()" [title]="manifest().title" [entry]="entry()" />
      }
    </div>
  `,
  styles: `
    :host {
      position: relative;
      display: grid;
      grid-template-columns: auto minmax(8rem, 1fr) minmax(12rem, 1.4fr) 10rem;
      align-items: center;
      gap: 1rem;
      padding: 0.875rem 1.25rem;
    }

    @media (hover: hover) {
      :host(:hover) {
        background: var(--tui-background-neutral-1);
      }
    }

    .title {
      display: grid;
      min-inline-size: 0;
      overflow-wrap: anywhere;

      a {
        color: inherit;
        font-weight: 600;
        text-decoration: none;

        /* The whole row opens the service; its buttons lie above. */
        &::after {
          content: '';
          position: absolute;
          inset: 0;
        }

        &:focus-visible {
          outline: none;

          &::after {
            outline: 2px solid var(--tui-border-focus);
            outline-offset: -4px;
            border-radius: 1rem;
          }
        }
      }
    }

    .state {
      display: grid;
      gap: 0.3125rem;
      min-inline-size: 0;
    }

    .why {
      display: -webkit-box;
      overflow: hidden;
      -webkit-box-orient: vertical;
      -webkit-line-clamp: 2;
      line-clamp: 2;
    }

    .buttons {
      position: relative;
      display: flex;
      justify-content: flex-end;
      gap: 0.375rem;
    }

    @media (max-width: 48rem) {
      :host {
        grid-template-columns: auto 1fr auto;
        gap: 0.625rem 0.875rem;
        padding: 0.875rem 1rem;
      }

      .state {
        grid-column: 1 / -1;
        grid-row: 2;
      }
    }
  `,
})
export class ServiceRow {
  readonly id = input.required<string>();
  readonly entry = input.required<PackageEntry>();

  private readonly clock = inject(Clock);
  protected readonly manifest = computed(() => manifestOf(this.entry()));
  protected readonly look = computed(() => serviceLook(this.entry()));
  protected readonly uptime = computed(() => {
    const { started } = this.entry().statusInfo;
    return started === null ? null : uptime(started, this.clock.now());
  });
  protected readonly progress = computed(() => {
    const { stateInfo } = this.entry();
    return 'installingInfo' in stateInfo ? progressLook(stateInfo.installingInfo.progress) : null;
  });
}
