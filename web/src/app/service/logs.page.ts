import {
  afterRenderEffect,
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  ElementRef,
  inject,
  signal,
  viewChild,
} from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import { TuiButtonLoading } from '@taiga-ui/kit';
import { Notices } from '../state/notices';
import { asText, DRAW, lineTone, matching, plain } from '../words/logs';
import { fullTime, logTime } from '../words/time';
import { Current } from './current';
import { LogFeed } from './log-feed';

/** The live log. It follows the newest line until the reader scrolls up. */
@Component({
  selector: 'cop-logs-page',
  imports: [TuiButton, TuiButtonLoading],
  providers: [LogFeed],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <div class="bar">
      <input
        #box
        class="control search"
        type="search"
        placeholder="Find in the log"
        aria-label="Find in the log"
        [value]="search()"
        (input)="search.set(box.value)"
      />
      <span class="small muted" role="status">{{ status() }}</span>
      <button
        tuiButton
        type="button"
        size="s"
        appearance="secondary-grayscale"
        iconStart="@tui.download"
        [loading]="downloading()"
        (click)="download()"
      >
        Download
      </button>
    </div>
    @if (feed.error(); as error) {
      <p class="card bad">{{ error }}</p>
    }
    <div #view class="view" tabindex="0" role="log" aria-label="Log" aria-live="off" (scroll)="scrolled()">
      @if (feed.hasOlder() && !search()) {
        <button tuiButton type="button" size="s" appearance="flat-grayscale" class="older" [loading]="feed.loadingOlder()" (click)="older()">
          Show older lines
        </button>
      }
      @for (line of lines(); track line.key) {
        <div class="line" [attr.data-tone]="line.tone">
          <time [attr.datetime]="line.at" [title]="line.full">{{ line.time }}</time>
          @if (line.source) {
            <span class="source">{{ line.source }}</span>
          }
          <span class="message">{{ line.message }}</span>
        </div>
      } @empty {
        <p class="muted nothing">{{ search() ? 'No line contains this. Only the lines loaded here are searched.' : 'No lines yet. They appear here as the service writes them.' }}</p>
      }
    </div>
    @if (!following()) {
      <button tuiButton type="button" size="s" class="down" iconStart="@tui.arrow-down" (click)="toEnd()">Newest lines</button>
    }
  `,
  styles: `
    :host {
      position: relative;
      display: flex;
      flex-direction: column;
      gap: 0.75rem;
    }

    .bar {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: 0.75rem;
    }

    .search {
      flex: 1 1 12rem;
      min-block-size: 2.25rem;
      padding-block: 0.25rem;
    }

    .view {
      block-size: max(20rem, calc(100dvh - 20rem));
      overflow: auto;
      padding: 0.75rem;
      border: 1px solid var(--cop-line);
      border-radius: 1rem;
      background: var(--cop-card);
      font: 0.8125rem/1.5 var(--cop-mono);
      overscroll-behavior: contain;
    }

    .older {
      display: flex;
      margin: 0 auto 0.5rem;
    }

    .line {
      display: flex;
      gap: 0.75rem;
      padding-inline-start: 0.5rem;
      border-inline-start: 0.1875rem solid transparent;

      &:hover {
        background: var(--tui-background-neutral-1);
      }

      &[data-tone='bad'] {
        border-color: var(--cop-bad);
      }

      &[data-tone='care'] {
        border-color: var(--cop-care);
      }
    }

    time,
    .source {
      flex: none;
      color: var(--tui-text-tertiary);
      white-space: nowrap;
    }

    .message {
      min-inline-size: 0;
      overflow-wrap: anywhere;
      white-space: pre-wrap;
    }

    .nothing {
      padding: 2rem 1rem;
      text-align: center;
      font-family: var(--tui-font-text);
    }

    .bad {
      color: var(--cop-bad);
    }

    .down {
      position: absolute;
      inset-block-end: 1rem;
      inset-inline-end: 1.5rem;
    }

    @media (max-width: 40rem) {
      .line {
        flex-wrap: wrap;
        gap: 0 0.5rem;
      }

      .message {
        flex-basis: 100%;
      }
    }
  `,
})
export class LogsPage {
  private readonly current = inject(Current);
  private readonly notices = inject(Notices);
  private readonly view = viewChild.required<ElementRef<HTMLElement>>('view');
  protected readonly feed = inject(LogFeed);

  protected readonly search = signal('');
  protected readonly following = signal(true);
  protected readonly downloading = signal(false);

  private readonly found = computed(() => matching(this.feed.lines(), this.search()));
  protected readonly lines = computed(() =>
    this.found()
      .slice(this.following() || this.search() ? -DRAW : 0)
      .map(({ key, entry }) => ({
        key,
        at: entry.timestamp,
        time: logTime(entry.timestamp),
        full: fullTime(entry.timestamp),
        source: entry.source ?? '',
        message: plain(entry.message),
        tone: lineTone(entry),
      })),
  );
  protected readonly status = computed(() => {
    if (this.search()) return `${this.found().length} of ${this.feed.lines().length} lines`;
    return this.feed.live() ? 'Live' : 'Connecting…';
  });

  constructor() {
    effect(() => this.feed.follow(this.current.id()));
    afterRenderEffect(() => {
      this.lines();
      if (!this.following()) return;
      const view = this.view().nativeElement;
      view.scrollTop = view.scrollHeight;
    });
  }

  protected scrolled(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.view().nativeElement;
    this.following.set(scrollHeight - scrollTop - clientHeight < 40);
  }

  protected toEnd(): void {
    this.following.set(true);
  }

  protected async older(): Promise<void> {
    const view = this.view().nativeElement;
    this.following.set(false);
    const fromEnd = view.scrollHeight - view.scrollTop;
    await this.feed.older();
    // The line the reader looked at stays where it was.
    requestAnimationFrame(() => (view.scrollTop = view.scrollHeight - fromEnd));
  }

  protected async download(): Promise<void> {
    this.downloading.set(true);
    await this.notices.guard(async () => {
      const text = asText(await this.feed.everything());
      const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
      const link = document.createElement('a');
      link.href = url;
      link.download = `${this.current.id()}.log`;
      link.click();
      URL.revokeObjectURL(url);
    });
    this.downloading.set(false);
  }
}
