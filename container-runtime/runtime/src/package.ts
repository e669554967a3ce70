/** The package's JavaScript: what it must export, and how it is loaded. */
import { createRequire } from 'node:module';
import type { Effects } from './effects.js';
import { isObject } from './message.js';
import type { Target } from './target.js';

export type InitKind = 'install' | 'update' | 'restore' | null;

export interface Action {
  getInput(options: { effects: Effects; prefill: unknown }): Promise<unknown>;
  run(options: { effects: Effects; input: unknown }): Promise<unknown>;
}

export interface RunningMain {
  /** Says that all it runs is with the host, so that it may be made anew at any time. */
  readonly isHeldByHost?: boolean;
  term(): Promise<unknown>;
}

/** The module itself: its exports are getters, read by name at each use. */
export interface Package {
  readonly init: (options: { effects: Effects; kind: InitKind }) => Promise<unknown>;
  readonly uninit: (options: { effects: Effects; target: Target }) => Promise<unknown>;
  readonly main: (options: { effects: Effects }) => Promise<{ build(): Promise<RunningMain> }>;
  readonly createBackup: (options: { effects: Effects }) => Promise<unknown>;
  readonly actions: { get(id: string): Action | undefined };
}

/** The package at `path` is not one. */
export class NotAPackage extends Error {
  constructor(path: string, missing: string) {
    super(`${path} does not export ${missing}; was the package built with the start-sdk?`);
    this.name = 'NotAPackage';
  }
}

/**
 * Loads the package as CommonJS, so that the files beside it resolve.
 *
 * @throws {NotAPackage} when an export is missing, and whatever the module throws.
 */
export function loadPackage(path: string): Package {
  const loaded: unknown = evaluate(path);
  assertPackage(loaded, path);
  return loaded;
}

function evaluate(path: string): unknown {
  try {
    return createRequire(path)(path);
  } catch (cause) {
    // What broken code throws names neither the file nor the package.
    throw new Error(`${path} could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function assertPackage(value: unknown, path: string): asserts value is Package {
  if (!isObject(value)) throw new NotAPackage(path, 'an object');
  for (const name of ['init', 'uninit', 'main', 'createBackup']) {
    if (typeof value[name] !== 'function') throw new NotAPackage(path, `a function \`${name}\``);
  }
  const actions = value['actions'];
  if (!isObject(actions) || typeof actions['get'] !== 'function') throw new NotAPackage(path, '`actions`');
}
