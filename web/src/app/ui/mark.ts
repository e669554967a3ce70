import { ChangeDetectionStrategy, Component } from '@angular/core';

/** The sign of Coppice: a stump that grows back. */
@Component({
  selector: 'cop-mark',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<img src="icon.svg" alt="" width="32" height="32" />`,
  styles: `
    :host,
    img {
      display: block;
      inline-size: var(--cop-mark, 2rem);
      block-size: var(--cop-mark, 2rem);
    }
  `,
})
export class Mark {}
