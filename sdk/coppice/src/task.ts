/** Tasks: what a person is asked to do, by running an action. */
import type { Action } from './action.js';
import type { Effects, Severity, TaskParams } from './effects.js';

interface TaskWords {
  /** `critical` stops the service until it is done. */
  readonly severity: Severity;
  /** Why, in a sentence. */
  readonly reason?: string;
  /** Tells it from other tasks for the same action. */
  readonly replayId?: string;
}

/** Asks for an action of this package. */
export interface OwnTask<Input> extends TaskWords {
  readonly action: Action<Input>;
  /** What the form is to show at first. */
  readonly prefill?: Partial<NoInfer<Input>>;
}

/** Asks for an action of another package. */
export interface TaskElsewhere extends TaskWords {
  readonly packageId: string;
  readonly actionId: string;
  /** Asks until the action's present values are these, and again when they change. */
  readonly untilInput?: object;
  /** With `untilInput`: asks once only. */
  readonly once?: boolean;
}

/** A task that a package asks for; made by {@link ownTask} and {@link taskOf}. */
export type Task = Omit<TaskParams, 'packageId'> & { readonly packageId: string | null };

/**
 * A task that asks for one of this package's own actions.
 *
 * @example
 * ```ts
 * import { actionWithForm, fields, form, ownTask } from '@coppice/sdk';
 *
 * const setAdmin = actionWithForm({
 *   id: 'set-admin',
 *   name: 'Choose the admin account',
 *   description: 'Needed before the first start.',
 *   form: form({ username: fields.text({ name: 'Username' }) }),
 *   run: async () => null,
 * });
 * const first = ownTask({ action: setAdmin, severity: 'critical', reason: 'Nobody could log in.', prefill: { username: 'admin' } });
 * ```
 */
export function ownTask<Input>({ action, severity, reason, replayId, prefill }: OwnTask<Input>): Task {
  return {
    replayId: replayId ?? action.id,
    packageId: null,
    actionId: action.id,
    severity,
    ...(reason === undefined ? {} : { reason }),
    ...(prefill === undefined ? {} : { input: { kind: 'partial', accept: [], set: prefill } }),
  };
}

/**
 * A task that asks for an action of another package.
 *
 * @example
 * ```ts
 * import { taskOf } from '@coppice/sdk';
 *
 * const pruneOff = taskOf({
 *   packageId: 'bitcoind',
 *   actionId: 'config',
 *   severity: 'important',
 *   reason: 'An index needs every block.',
 *   untilInput: { prune: null },
 * });
 * ```
 */
export function taskOf({ packageId, actionId, severity, reason, replayId, untilInput, once = false }: TaskElsewhere): Task {
  return {
    replayId: replayId ?? `${packageId}:${actionId}`,
    packageId,
    actionId,
    severity,
    ...(reason === undefined ? {} : { reason }),
    ...(untilInput === undefined
      ? {}
      : {
          when: { condition: 'input-not-matches', once },
          input: { kind: 'partial', accept: [untilInput], set: untilInput },
        }),
  };
}

/**
 * Asks for it now, on behalf of the package `own`; gives the name that the host knows it by.
 *
 * @example
 * ```ts
 * import { createTask, taskOf, type Effects } from '@coppice/sdk';
 *
 * const ask = (effects: Effects) =>
 *   createTask(effects, 'hello', taskOf({ packageId: 'store', actionId: 'add-user', severity: 'optional' }));
 * ```
 */
export async function createTask(effects: Effects, own: string, task: Task): Promise<string> {
  const { replayId } = task;
  // Own tasks are named as the StartOS SDK names them, so that a package that moves over keeps its tasks.
  const named = task.packageId === null ? `${own}:${replayId}` : replayId;
  await effects.action.createTask({ ...task, replayId: named, packageId: task.packageId ?? own });
  return named;
}
