import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { CopyButton } from '../ui/copy-button';
import { localeText } from '../words/locale';
import { Current } from './current';

/** What the package says about itself. */
@Component({
  selector: 'cop-about-page',
  imports: [CopyButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <section class="card">
      <p class="long">{{ long() }}</p>
    </section>
    <section class="card" aria-labelledby="facts-title">
      <h2 id="facts-title">Package</h2>
      <dl>
        @for (fact of facts(); track fact.name) {
          <div>
            <dt class="muted small">{{ fact.name }}</dt>
            <dd [class.mono]="fact.copy">
              {{ fact.value }}
              @if (fact.copy) {
                <cop-copy-button [value]="fact.value" [what]="fact.name" />
              }
            </dd>
          </div>
        }
      </dl>
    </section>
    @if (links().length > 0) {
      <section class="card" aria-labelledby="links-title">
        <h2 id="links-title">Elsewhere</h2>
        <ul>
          @for (link of links(); track link.name) {
            <li>
              <a target="_blank" rel="noopener noreferrer" [href]="link.url">{{ link.name }}</a>
              <span class="muted small">{{ link.url }}</span>
            </li>
          }
        </ul>
      </section>
    }
    @if (notes(); as notes) {
      <section class="card" aria-labelledby="notes-title">
        <h2 id="notes-title">New in this version</h2>
        <p class="long">{{ notes }}</p>
      </section>
    }
  `,
  styles: `
    :host {
      display: flex;
      flex-direction: column;
      gap: 1rem;
    }

    .long {
      white-space: pre-line;
      overflow-wrap: anywhere;
    }

    dl {
      display: grid;
      grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr));
      gap: 0.875rem 1.5rem;
      margin-block-start: 0.75rem;
    }

    dd {
      display: flex;
      align-items: center;
      overflow-wrap: anywhere;
    }

    li {
      display: grid;
      padding-block-start: 0.5rem;
      overflow-wrap: anywhere;
    }
  `,
})
export class AboutPage {
  private readonly current = inject(Current);

  protected readonly long = computed(() => {
    const description = this.current.manifest()?.description;
    return description ? localeText(description.long, navigator.language) : '';
  });
  protected readonly notes = computed(() => localeText(this.current.manifest()?.releaseNotes ?? '', navigator.language));
  protected readonly facts = computed(() => {
    const manifest = this.current.manifest();
    if (!manifest) return [];
    const facts: [name: string, value: string | null, copy: boolean][] = [
      ['Name', manifest.title, false],
      ['Id', manifest.id, true],
      ['Version', manifest.version, true],
      ['Licence', manifest.license, false],
      ['Installed from', this.current.entry()?.registry ?? 'a file', false],
      ['Made for StartOS', manifest.osVersion, false],
      ['SDK', manifest.sdkVersion, false],
      ['Source revision', manifest.gitHash, true],
    ];
    return facts.flatMap(([name, value, copy]) => (value ? [{ name, value, copy }] : []));
  });
  protected readonly links = computed(() => {
    const manifest = this.current.manifest();
    if (!manifest) return [];
    const links: [name: string, url: string | null][] = [
      ['Home page', manifest.marketingUrl],
      ['Source of the program', manifest.upstreamRepo],
      ['Source of the package', manifest.packageRepo],
      ['Support its makers', manifest.donationUrl],
    ];
    // The package chose these texts; only web addresses become links.
    return links.flatMap(([name, url]) => (url && /^https?:\/\//.test(url) ? [{ name, url }] : []));
  });
}
