import { ChangeDetectionStrategy, Component, computed, DestroyRef, inject, signal } from '@angular/core';
import { TuiButton, type TuiDialogContext } from '@taiga-ui/core';
import { injectContext } from '@taiga-ui/polymorpheus';
import { socketUrl } from '../state/connection';
import { Notices } from '../state/notices';
import { Server } from '../state/server';
import { sideload, type Sideload } from '../state/sideload';
import { ProgressLine } from '../ui/progress-line';
import { errorSentence } from '../words/errors';
import { bytes, progressLook } from '../words/progress';
import { unreachable } from '../words/unreachable';

@Component({
  selector: 'cop-sideload-dialog',
  imports: [ProgressLine, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @if (look(); as look) {
      <div class="stack" role="status">
        <p class="name">{{ file()?.name }}</p>
        <cop-progress-line [percent]="look.percent" [label]="look.words" />
        <p class="muted small">{{ look.words }}</p>
        <div class="row end">
          <button tuiButton type="button" size="m" appearance="secondary-grayscale" (click)="context.completeWith()">
            {{ uploading() ? 'Cancel' : 'Close, it goes on by itself' }}
          </button>
        </div>
      </div>
    } @else {
      <label
        class="drop"
        [class.over]="over()"
        (dragover)="$event.preventDefault(); over.set(true)"
        (dragleave)="over.set(false)"
        (drop)="dropped($event)"
      >
        <input #input class="visually-hidden" type="file" accept=".s9pk" (change)="chosen(input)" />
        <strong>Choose a package file</strong>
        <span class="muted small">or drop it here. Its name ends in .s9pk.</span>
      </label>
      <p class="error" role="alert">{{ error() }}</p>
      <p class="muted small">
        A package runs on your server with access to your network. Install only what you got from someone you trust.
      </p>
    }
  `,
  styles: `
    .drop {
      display: grid;
      justify-items: center;
      gap: 0.25rem;
      padding: 2.25rem 1rem;
      border: 2px dashed var(--cop-line);
      border-radius: 0.875rem;
      text-align: center;
      cursor: pointer;

      &:hover,
      &.over,
      &:focus-within {
        border-color: var(--tui-background-accent-1);
        background: var(--cop-good-pale);
      }
    }

    .name {
      font-weight: 600;
      overflow-wrap: anywhere;
    }

    .end {
      justify-content: flex-end;
    }

    .error:not(:empty) {
      margin-block-start: 0.75rem;
      color: var(--cop-bad);
      overflow-wrap: anywhere;
    }

    .error + p {
      margin-block-start: 0.75rem;
    }
  `,
})
export class SideloadDialog {
  private readonly server = inject(Server);
  private readonly notices = inject(Notices);
  private readonly abort = new AbortController();
  protected readonly context = injectContext<TuiDialogContext<void>>();

  protected readonly file = signal<File | null>(null);
  protected readonly state = signal<Sideload | null>(null);
  protected readonly error = signal<string | null>(null);
  protected readonly over = signal(false);

  protected readonly uploading = computed(() => this.state()?.kind !== 'installing');
  protected readonly look = computed(() => {
    const state = this.state();
    if (state === null) return null;
    switch (state.kind) {
      case 'asking':
        return { percent: null, words: 'Getting ready' };
      case 'uploading':
        return {
          percent: state.total === 0 ? null : Math.floor((state.sent / state.total) * 100),
          words: `Sent ${bytes(state.sent)} of ${bytes(state.total)}`,
        };
      case 'installing':
        return progressLook(state.progress);
      case 'done':
        return { percent: 100, words: 'Done.' };
      default:
        return unreachable(state);
    }
  });

  constructor() {
    // An upload nobody watches is cancelled; an install that has begun is the server's business.
    inject(DestroyRef).onDestroy(() => this.abort.abort());
  }

  protected chosen(input: HTMLInputElement): void {
    const file = input.files?.[0];
    if (file) void this.install(file);
  }

  protected dropped(event: DragEvent): void {
    event.preventDefault();
    this.over.set(false);
    const file = event.dataTransfer?.files[0];
    if (file) void this.install(file);
  }

  private async install(file: File): Promise<void> {
    this.error.set(null);
    if (!file.name.endsWith('.s9pk')) {
      this.error.set(`${file.name} is not a package: its name does not end in .s9pk.`);
      return;
    }
    this.file.set(file);
    try {
      const line = { ticket: () => this.server.sideload(), socket: (guid: string) => new WebSocket(socketUrl(guid)) };
      await sideload(file, line, state => this.state.set(state), this.abort.signal);
      this.notices.done(`${file.name} is installed.`);
      this.context.completeWith();
    } catch (error) {
      this.state.set(null);
      if (!this.abort.signal.aborted) this.error.set(errorSentence(error));
    }
  }
}
