import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { Clock } from '../state/clock';
import { restartStories } from '../words/restarts';
import { capital, sentenceEnd } from '../words/status';
import { ago, fullTime } from '../words/time';
import { Current } from './current';

/** Every restart Coppice remembers: what ended, why, what was done, what to do. */
@Component({
  selector: 'cop-why-page',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (current.entry()?.parked; as parked) {
      <section class="card parked">
        <h2>It keeps failing, so Coppice waits between tries</h2>
        <p>{{ parked.reason }}</p>
        <p class="small">
          Waiting since {{ time(parked.since) }}. Next try {{ time(parked.nextProbe) }}.
        </p>
      </section>
    }
    @if (current.entry()?.held; as held) {
      <section class="card held">
        <h2>It waits for something it needs</h2>
        <p>{{ sentence(held.reason) }}</p>
        <p class="small">Waiting since {{ time(held.since) }}.</p>
      </section>
    }
    @if (stories().length > 0) {
      <ol>
        @for (story of stories(); track $index) {
          <li class="card edge" [attr.data-tone]="story.tone">
            <p class="small muted">
              <time [attr.datetime]="story.at">{{ story.when }}, {{ time(story.at) }}</time>
            </p>
            <h2>{{ story.headline }}</h2>
            <p>{{ story.done }}</p>
            @if (story.because) {
              <p>{{ story.because }}</p>
            }
            @if (story.advice) {
              <p class="advice">{{ story.advice }}</p>
            }
            @if (story.logs.length > 0) {
              <details [open]="$first">
                <summary class="small">Its last {{ story.logs.length === 1 ? 'line' : story.logs.length + ' lines' }}</summary>
                <pre class="mono" tabindex="0">{{ story.logs.join('\n') }}</pre>
              </details>
            }
          </li>
        }
      </ol>
    } @else {
      <div class="card empty">
        <h2>Nothing to explain</h2>
        <p class="muted">
          When something in this service ends or is restarted, you find here what it was, why, and what Coppice did about it.
        </p>
      </div>
    }
  `,
  styles: `
    :host,
    ol {
      display: flex;
      flex-direction: column;
      gap: 1rem;
    }

    li {
      display: grid;
      gap: 0.375rem;
    }

    .advice {
      color: var(--cop-care);
    }

    .parked,
    .held {
      display: grid;
      gap: 0.375rem;
    }

    .parked {
      background: var(--cop-bad-pale);
    }

    h2,
    p {
      overflow-wrap: anywhere;
    }

    summary {
      cursor: pointer;
      color: var(--tui-text-secondary);
    }

    pre {
      margin: 0.5rem 0 0;
      padding: 0.75rem;
      max-block-size: 18rem;
      overflow: auto;
      border-radius: 0.625rem;
      background: var(--cop-page);
      white-space: pre-wrap;
      overflow-wrap: anywhere;
    }

    .empty {
      display: grid;
      gap: 0.375rem;
      padding: 2rem 1.5rem;
      text-align: center;
    }
  `,
})
export class WhyPage {
  private readonly clock = inject(Clock);
  protected readonly current = inject(Current);
  protected readonly sentence = (text: string) => sentenceEnd(capital(text));
  protected readonly time = (at: string) => fullTime(at);
  protected readonly stories = computed(() =>
    restartStories(this.current.entry()?.restarts ?? {}).map(story => ({ ...story, when: ago(story.at, this.clock.now()) })),
  );
}
