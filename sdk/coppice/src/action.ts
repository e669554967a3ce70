/** Actions: what a person, another package or a task can have a service do. */
import type { ActionInput, ActionMetadata, ActionResult, Effects, ResultMember, ResultValue, Visibility } from './effects.js';
import type { Fields, Form, FormValue } from './form.js';

interface ActionWords {
  /** Its name for machines, unique in the package. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly warning?: string;
  /** Actions of one group are shown together. */
  readonly group?: string;
  /** In which states of the service it can be run; any without. */
  readonly allowedStatuses?: ActionMetadata['allowedStatuses'];
  /** Who may run it beside the owner: packages that depend on this one, or all. */
  readonly access?: 'public' | 'dependent' | 'user';
  /** Whether it is offered now; when that depends on something, {@link use} that. */
  readonly visibility?: Visibility | ((effects: Effects) => Promise<Visibility>);
}

/** What {@link action} takes. */
export interface ActionOptions extends ActionWords {
  readonly run: (context: { readonly effects: Effects }) => Promise<ActionResult | null>;
}

/** What {@link actionWithForm} takes. */
export interface ActionFormOptions<F extends Fields> extends ActionWords {
  /** What it asks for; when that depends on something, a function. */
  readonly form: Form<F> | ((effects: Effects) => Promise<Form<F>>);
  /** What the form shows at first. */
  readonly current?: (effects: Effects) => Promise<Partial<FormValue<F>> | null>;
  readonly run: (context: { readonly effects: Effects; readonly input: FormValue<F> }) => Promise<ActionResult | null>;
}

/** An action of a package, as the host calls it. */
export class Action<out Input = unknown> {
  /** Only for types: what `run` takes. */
  declare readonly input: Input;

  constructor(
    private readonly words: ActionWords,
    private readonly ask: ((effects: Effects, prefill: object | null) => Promise<Omit<ActionInput, 'eventId'>>) | null,
    private readonly act: (effects: Effects, input: unknown) => Promise<ActionResult | null>,
  ) {}

  get id(): string {
    return this.words.id;
  }

  /** What the host is told of it. */
  async metadata(effects: Effects): Promise<ActionMetadata> {
    const { name, description, warning, visibility = 'enabled', allowedStatuses = 'any', group, access } = this.words;
    return {
      name,
      description,
      warning: warning ?? null,
      visibility: typeof visibility === 'function' ? await visibility(effects) : visibility,
      allowedStatuses,
      hasInput: this.ask !== null,
      group: group ?? null,
      ...(access === undefined ? {} : { access }),
    };
  }

  /** Called by the host when its form is opened. */
  async getInput({ effects, prefill }: { effects: Effects; prefill?: object | null }): Promise<ActionInput> {
    const eventId = effects.eventId ?? '';
    return this.ask === null ? { eventId, spec: {}, value: null } : { eventId, ...(await this.ask(effects, prefill ?? null)) };
  }

  /** Called by the host when it is submitted. */
  run({ effects, input }: { effects: Effects; input: unknown }): Promise<ActionResult | null> {
    return this.act(effects, input);
  }
}

/**
 * An action that asks for nothing.
 *
 * @example
 * ```ts
 * import { action, result } from '@coppice/sdk';
 *
 * const showPassword = action({
 *   id: 'show-password',
 *   name: 'Show the password',
 *   description: 'The password that the service was installed with.',
 *   run: async () => result('The password', null, result.text('s3cret', { masked: true })),
 * });
 * ```
 */
export function action(options: ActionOptions): Action<null> {
  return new Action(options, null, effects => options.run({ effects }));
}

/**
 * An action that asks for input. What `run` gets has passed the form's rules.
 *
 * @example
 * ```ts
 * import { actionWithForm, fields, form, result } from '@coppice/sdk';
 *
 * const setGreeting = actionWithForm({
 *   id: 'set-greeting',
 *   name: 'Set greeting',
 *   description: 'Choose what the page says.',
 *   form: form({ greeting: fields.text({ name: 'Greeting' }) }),
 *   current: async () => ({ greeting: 'Hello' }),
 *   run: async ({ input }) => result('Greeting set', `The page now says “${input.greeting}”.`),
 * });
 * ```
 */
export function actionWithForm<const F extends Fields>(options: ActionFormOptions<F>): Action<FormValue<F>> {
  const { form, current, run } = options;
  const formNow = (effects: Effects): Promise<Form<F>> => (typeof form === 'function' ? form(effects) : Promise.resolve(form));
  return new Action(
    options,
    async (effects, prefill) => {
      const [shown, value] = [await formNow(effects), (await current?.(effects)) ?? null];
      return { spec: shown.wire, value: prefill === null ? value : { ...value, ...prefill } };
    },
    async (effects, input) => run({ effects, input: (await formNow(effects)).read(input) }),
  );
}

/** What an action's `run` takes. */
export type ActionOf<A> = A extends Action<infer Input> ? Input : never;

interface TextLook {
  /** Whether it is shown as dots. */
  readonly masked?: boolean;
  /** Whether it can be copied; it can without. */
  readonly copyable?: boolean;
  /** Whether it is offered as a QR code. */
  readonly qr?: boolean;
}

function text(value: string, { masked = false, copyable = true, qr = false }: TextLook = {}): ResultValue {
  return { type: 'single', value, masked, copyable, qr };
}

function group(members: Readonly<Record<string, ResultValue>>): ResultValue {
  const value = Object.entries(members).map(([name, member]): ResultMember => ({ name, description: null, ...member }));
  return { type: 'group', value };
}

/**
 * What an action answers: a title, a sentence, and values to copy.
 *
 * @example
 * ```ts
 * import { result } from '@coppice/sdk';
 *
 * const plain = result('Done', 'The index is built anew.');
 * const login = result(
 *   'Your login',
 *   null,
 *   result.group({ Username: result.text('admin'), Password: result.text('s3cret', { masked: true }) }),
 * );
 * ```
 */
export function result(title: string, message: string | null = null, value: ResultValue | null = null): ActionResult {
  return { version: '1', title, message, result: value };
}
result.text = text;
result.group = group;

