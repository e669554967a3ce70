import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { Connection } from '../state/connection';
import type { Look } from '../words/status';

/** A state as a coloured dot and a word; faded while the connection is lost. */
@Component({
  selector: 'cop-status-pill',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { '[attr.data-tone]': 'look().tone', '[class.stale]': 'stale()', '[class.fixed]': 'fixed()' },
  template: `<span class="dot" aria-hidden="true"></span>{{ look().word }}@if (stale()) {
      <span class="was">?</span><span class="visually-hidden"> (last known)</span>
    }`,
  styles: `
    :host {
      display: inline-flex;
      align-items: center;
      gap: 0.4375rem;
      padding: 0.1875rem 0.6875rem 0.1875rem 0.5625rem;
      border-radius: 1rem;
      background: var(--tone-pale);
      color: var(--tone);
      font-weight: 600;
      font-size: 0.8125rem;
      line-height: 1.25rem;
      white-space: nowrap;
    }

    :host([data-tone='good']) {
      --tone: var(--cop-good);
      --tone-pale: var(--cop-good-pale);
    }

    :host([data-tone='busy']) {
      --tone: var(--cop-busy);
      --tone-pale: var(--cop-busy-pale);
    }

    :host([data-tone='care']) {
      --tone: var(--cop-care);
      --tone-pale: var(--cop-care-pale);
    }

    :host([data-tone='bad']) {
      --tone: var(--cop-bad);
      --tone-pale: var(--cop-bad-pale);
    }

    :host([data-tone='quiet']) {
      --tone: var(--cop-quiet);
      --tone-pale: var(--cop-quiet-pale);
    }

    .dot {
      inline-size: 0.5rem;
      block-size: 0.5rem;
      border-radius: 50%;
      background: currentcolor;
    }

    :host([data-tone='busy']:not(.stale, .fixed)) .dot {
      animation: breathe 1.4s ease-in-out infinite;
    }

    :host(.stale) {
      --tone: var(--cop-quiet);
      --tone-pale: transparent;
      border: 1px dashed var(--cop-line);
    }

    .was {
      margin-inline-start: -0.25rem;
    }

    @keyframes breathe {
      50% {
        opacity: 0.25;
      }
    }
  `,
})
export class StatusPill {
  readonly look = input.required<Look>();
  /** For words that are not a state: they are neither on their way nor can they be old. */
  readonly fixed = input(false);
  private readonly connection = inject(Connection);
  protected readonly stale = computed(() => !this.fixed() && this.connection.live().kind === 'lost');
}
