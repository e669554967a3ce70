import {
  afterNextRender,
  ChangeDetectionStrategy,
  Component,
  computed,
  ElementRef,
  forwardRef,
  inject,
  Injector,
  input,
} from '@angular/core';
import { TuiButton } from '@taiga-ui/core';
import type { ControlFrame } from '../form-field';
import { FormFields } from '../form-fields';
import { FormState } from '../form-state';
import { join } from '../path';
import type { ListSpec } from '../spec';
import { initialItem, securePick } from '../value';
import { itemTitle } from '../validate';
import { TextField } from './text-field';

/** Texts or small forms, as many as wanted. */
@Component({
  selector: 'cop-list-field',
  imports: [forwardRef(() => FormFields), TextField, TuiButton],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    @let item = spec().spec;
    @for (row of rows(); track $index) {
      <div class="entry" [class.form]="item.type === 'object'">
        @if (item.type === 'text') {
          <cop-text-field [spec]="item" [frame]="row.frame" [value]="row.text" (valueChange)="form.put(row.frame.path, $event)" />
        } @else {
          <span class="title">{{ row.title }}</span>
        }
        <button tuiIconButton type="button" size="m" appearance="flat-grayscale" iconStart="@tui.trash-2" [disabled]="frame().disabled" (click)="remove($index)">
          Remove {{ row.title }}
        </button>
        @if (item.type === 'object') {
          <cop-form-fields [spec]="item.spec" [path]="row.frame.path" />
        }
        @if (row.problem) {
          <p class="small problem" [id]="row.frame.id + '-problem'">{{ row.problem }}</p>
        }
      </div>
    }
    <button tuiButton type="button" size="s" appearance="secondary-grayscale" iconStart="@tui.plus" [disabled]="full()" (click)="add()">Add</button>
  `,
  styles: `
    :host {
      display: grid;
      gap: 0.5rem;
      justify-items: start;
    }

    .entry {
      display: grid;
      grid-template-columns: 1fr auto;
      align-items: center;
      gap: 0.25rem;
      inline-size: 100%;
    }

    .form {
      padding: 0.5rem 0.75rem 0.875rem;
      border: 1px solid var(--cop-line);
      border-radius: 0.75rem;
    }

    .title {
      font-weight: 600;
      font-size: 0.9375rem;
    }

    cop-form-fields,
    .problem {
      grid-column: 1 / -1;
    }

    .problem {
      color: var(--cop-bad);
    }
  `,
})
export class ListField {
  readonly spec = input.required<ListSpec>();
  readonly frame = input.required<ControlFrame>();
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);
  private readonly injector = inject(Injector);
  protected readonly form = inject(FormState);
  private readonly items = computed(() => list(this.form.at(this.frame().path)));

  protected readonly full = computed(
    () => this.frame().disabled || this.items().length >= (this.spec().maxLength ?? Number.POSITIVE_INFINITY),
  );
  protected readonly rows = computed(() => {
    const { spec } = this.spec();
    const { id, path, disabled } = this.frame();
    return this.items().map((value, i) => {
      const at = join(path, i);
      const problem = this.form.problem(at);
      const frame: ControlFrame = {
        id: `${id}-${i}`,
        path: at,
        describedBy: problem === null ? '' : `${id}-${i}-problem`,
        invalid: problem !== null,
        disabled,
      };
      return {
        frame,
        problem,
        text: typeof value === 'string' ? value : '',
        title: itemTitle(spec.type === 'object' ? spec.displayAs : null, value, i),
      };
    });
  });

  protected remove(index: number): void {
    this.form.change(this.frame().path, old => list(old).filter((_, i) => i !== index));
  }

  protected add(): void {
    this.form.change(this.frame().path, old => [...list(old), initialItem(this.spec(), undefined, securePick)]);
    const focusNew = () => {
      const entries = this.host.nativeElement.querySelectorAll<HTMLElement>(':scope > .entry');
      entries.item(entries.length - 1).querySelector<HTMLElement>('input, select, textarea')?.focus();
    };
    afterNextRender(focusNew, { injector: this.injector });
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
