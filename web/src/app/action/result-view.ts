import { ChangeDetectionStrategy, Component, computed, forwardRef, input, signal } from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { ActionResult, ResultMember, ResultValue, SingleResult } from '../api/schema';
import { CopyButton } from '../ui/copy-button';
import { QrButton } from '../ui/qr-button';

/** One value: hidden behind dots when it is a secret, with copy and QR as the package allows. */
@Component({
  selector: 'cop-single-result',
  imports: [CopyButton, QrButton, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <output class="mono">{{ shown() ? value().value : '••••••••••••' }}</output>
    <span class="tools">
      @if (value().masked) {
        <button tuiIconButton type="button" size="s" appearance="flat-grayscale" [iconStart]="shown() ? '@tui.eye-off' : '@tui.eye'" (click)="open.set(!open())">
          {{ shown() ? 'Hide' : 'Show' }}
        </button>
      }
      @if (value().copyable) {
        <cop-copy-button [value]="value().value" />
      }
      @if (value().qr) {
        <cop-qr-button [value]="value().value" />
      }
    </span>
  `,
  styles: `
    :host {
      display: flex;
      align-items: center;
      justify-content: space-between;
      gap: 0.5rem;
      padding: 0.375rem 0.5rem 0.375rem 0.875rem;
      border: 1px solid var(--cop-line);
      border-radius: 0.625rem;
    }

    output {
      padding-block: 0.25rem;
      overflow-wrap: anywhere;
      white-space: pre-wrap;
    }

    .tools {
      display: flex;
      flex: none;
    }
  `,
})
export class SingleResultView {
  readonly value = input.required<SingleResult>();
  protected readonly open = signal(false);
  protected readonly shown = computed(() => this.open() || !this.value().masked);
}

/** The members of a group, groups within groups included. */
@Component({
  selector: 'cop-group-result',
  imports: [SingleResultView, forwardRef(() => GroupResultView)],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @for (member of members(); track $index) {
      <div>
        <h3>{{ member.name }}</h3>
        @if (member.description) {
          <p class="muted small">{{ member.description }}</p>
        }
        @if (member.type === 'single') {
          <cop-single-result [value]="member" />
        } @else {
          <cop-group-result class="inner" [members]="member.value" />
        }
      </div>
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 1rem;
    }

    h3 {
      margin-block-end: 0.25rem;
    }

    p {
      margin-block-end: 0.375rem;
    }

    .inner {
      padding-inline-start: 0.875rem;
      border-inline-start: 2px solid var(--cop-line);
    }
  `,
})
export class GroupResultView {
  readonly members = input.required<readonly ResultMember[]>();
}

@Component({
  selector: 'cop-result-view',
  imports: [GroupResultView, SingleResultView],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @let page = lifted();
    <h2>{{ page.title }}</h2>
    @if (page.message) {
      <p class="message">{{ page.message }}</p>
    }
    @if (page.value; as value) {
      @if (value.type === 'single') {
        <cop-single-result [value]="value" />
      } @else {
        <cop-group-result [members]="value.value" />
      }
    }
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.875rem;
    }

    .message {
      white-space: pre-line;
      overflow-wrap: anywhere;
    }
  `,
})
export class ResultView {
  readonly result = input.required<ActionResult>();
  /** Version 0 in the shape of version 1. */
  protected readonly lifted = computed((): { title: string; message: string | null; value: ResultValue | null } => {
    const result = this.result();
    if (result.version === '1') return { title: result.title, message: result.message, value: result.result };
    const { message, value, copyable, qr } = result;
    return {
      title: 'Done',
      message,
      value: value === null ? null : { type: 'single', value, copyable, qr, masked: false },
    };
  });
}
