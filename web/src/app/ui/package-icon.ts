import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

/** A package's icon, or its first letter while it has none. Only `data:` images: nothing is fetched. */
@Component({
  selector: 'cop-package-icon',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { 'aria-hidden': 'true' },
  template: `
    @if (src(); as src) {
      <img [src]="src" alt="" />
    } @else {
      <span>{{ title().charAt(0).toUpperCase() }}</span>
    }
  `,
  styles: `
    :host {
      display: grid;
      place-content: center;
      flex: none;
      inline-size: var(--cop-icon, 2.75rem);
      block-size: var(--cop-icon, 2.75rem);
      border-radius: 24%;
      background: var(--cop-quiet-pale);
      color: var(--cop-quiet);
      font-weight: 600;
      font-size: calc(var(--cop-icon, 2.75rem) * 0.45);
      overflow: hidden;
    }

    img {
      display: block;
      inline-size: var(--cop-icon, 2.75rem);
      block-size: var(--cop-icon, 2.75rem);
      object-fit: contain;
    }
  `,
})
export class PackageIcon {
  readonly icon = input.required<string>();
  readonly title = input.required<string>();
  protected readonly src = computed(() => (this.icon().startsWith('data:image/') ? this.icon() : null));
}
