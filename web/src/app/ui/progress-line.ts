import { ChangeDetectionStrategy, Component, input } from '@angular/core';

/** A thin bar; it moves on its own while nobody knows how far things are. */
@Component({
  selector: 'cop-progress-line',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: {
    role: 'progressbar',
    'aria-valuemin': '0',
    'aria-valuemax': '100',
    '[attr.aria-valuenow]': 'percent()',
    '[attr.aria-label]': 'label()',
  },
  template: `<span [class.unknown]="percent() === null" [style.inline-size.%]="percent() ?? 30"></span>`,
  styles: `
    :host {
      display: block;
      block-size: 0.375rem;
      border-radius: 1rem;
      background: var(--cop-quiet-pale);
      overflow: hidden;
    }

    span {
      display: block;
      block-size: 100%;
      border-radius: inherit;
      background: var(--tui-background-accent-1);
      transition: inline-size 0.3s;
    }

    .unknown {
      animation: wander 1.6s ease-in-out infinite alternate;
    }

    @keyframes wander {
      to {
        margin-inline-start: 70%;
      }
    }
  `,
})
export class ProgressLine {
  /** 0 to 100, or null when unknown. */
  readonly percent = input.required<number | null>();
  readonly label = input.required<string>();
}
