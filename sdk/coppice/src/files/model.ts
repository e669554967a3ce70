/**
 * A settings file with a shape: read, written whole, merged into, followed.
 *
 * Invariant: whoever reads the file sees the old text or the new one, never a half: it is written beside
 * its place, flushed and renamed. What is written twice alike is written once, so nobody is woken for it.
 */
import { watch, type FSWatcher } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Effects } from '../effects.js';
import { parse, type Schema } from '../schema.js';
import type { Source } from '../source.js';
import type { VolumeFile } from '../volume.js';

/** How text becomes a value and back. */
export interface Format {
  /** @throws when the text is not of this format. */
  readonly parse: (text: string) => unknown;
  readonly stringify: (value: unknown) => string;
}

/** What may be given to {@link FileModel.merge}: any part of the whole, down to any depth. */
export type Part<T> = T extends readonly unknown[] ? T : T extends object ? { readonly [K in keyof T]?: Part<T[K]> | undefined } : T;

/** A file that cannot be read as what it should be. */
export class FileError extends Error {
  override readonly name = 'FileError';
}

/** How long a burst of changes is waited out. */
const SETTLE_MS = 20;

/** A file with a shape; made by {@link jsonFile} and its siblings. */
export class FileModel<T> implements Source<T> {
  #writing: Promise<unknown> = Promise.resolve();
  #listeners: { readonly effects: Effects; readonly changed: () => void }[] = [];

  constructor(
    readonly file: VolumeFile,
    readonly schema: Schema<T>,
    readonly format: Format,
  ) {}

  /**
   * What the file says. A missing file counts as an empty one, so a shape with a default for everything is always there.
   *
   * @throws {SchemaError} when it is not of the shape.
   */
  async read(effects?: Effects, changed?: () => void): Promise<T> {
    if (effects !== undefined && changed !== undefined) await this.#watch(effects, changed);
    return parse(this.schema, (await this.#raw()) ?? {}, this.file.name);
  }

  /**
   * The same, followed without watching the disk: changed when this package has written something else through
   * this model. A watch keeps a service's JavaScript awake, this does not; changes by others are read at the next start.
   *
   * @example
   * ```ts
   * import { envFile, shape, use, type Effects } from '@coppice/sdk';
   * import { hello } from './package.js';
   *
   * const settings = envFile(hello.volume('main').file('app.env'), shape.object({ PORT: shape.integer().or(80) }));
   *
   * async function port(effects: Effects): Promise<number> {
   *   return (await use(effects, settings.asWritten)).PORT;
   * }
   * ```
   */
  get asWritten(): Source<T> {
    return {
      read: (effects, changed) => {
        if (changed !== undefined) this.#listeners.push({ effects, changed });
        return this.read();
      },
    };
  }

  /** What the file says; null when there is no file, or it is not of the shape. */
  async readIfAny(): Promise<T | null> {
    const raw = await this.#raw();
    if (raw === null) return null;
    const checked = await this.schema['~standard'].validate(raw);
    return checked.issues === undefined ? checked.value : null;
  }

  /** Writes the whole file. */
  write(value: T): Promise<void> {
    return this.#alone(() => this.#put(this.format.stringify(value)));
  }

  /** Changes these parts and keeps the rest, also what the shape does not know. `undefined` takes a key away. */
  merge(part: Part<T>): Promise<T> {
    return this.#alone(async () => {
      const before = (await this.#raw()) ?? {};
      const known = await parse(this.schema, combined(before, part), this.file.name);
      await this.#put(this.format.stringify(combined(combined(before, known), part)));
      return known;
    });
  }

  /** One write after another: what a merge has read must still hold when it writes. */
  #alone<R>(work: () => Promise<R>): Promise<R> {
    const next = this.#writing.then(work, work);
    this.#writing = next.catch(() => undefined);
    return next;
  }

  async #raw(): Promise<unknown> {
    const text = await readFile(this.file.path, 'utf8').catch(missing);
    if (text === null || text.trim() === '') return null;
    try {
      return this.format.parse(text);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new FileError(`${this.file.name} cannot be read: ${why}`, { cause });
    }
  }

  async #put(text: string): Promise<void> {
    const path = this.file.path;
    const before = await readFile(path, 'utf8').catch(missing);
    if (before === text) return;
    await mkdir(dirname(path), { recursive: true });
    const owner = before === null ? null : await stat(path);
    const draft = `${path}.new`;
    try {
      const file = await open(draft, 'w', owner === null ? 0o644 : owner.mode & 0o777);
      try {
        await file.writeFile(text);
        // A program in a subcontainer may own it, and must still be able to read it.
        if (owner !== null) await file.chown(owner.uid, owner.gid);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      // Told once, as by a watch; those of scopes that were left meanwhile are forgotten with the rest.
      for (const { effects, changed } of this.#listeners.splice(0)) if (effects.isInContext) changed();
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  /** Follows the folder, not the file: a rename puts another file into its place. */
  async #watch(effects: Effects, changed: () => void): Promise<void> {
    const folder = dirname(this.file.path);
    const name = basename(this.file.path);
    await mkdir(folder, { recursive: true });
    let timer: NodeJS.Timeout | null = null;
    let watcher: FSWatcher | null = watch(folder, (_, what) => {
      if (what !== null && what !== name) return;
      timer ??= setTimeout(() => {
        // Told once: who still wants to know reads, and so watches, again.
        end();
        changed();
      }, SETTLE_MS);
    });
    const end = (): void => {
      watcher?.close();
      watcher = null;
      if (timer !== null) clearTimeout(timer);
    };
    watcher.on('error', error => {
      console.warn(`${this.file.name} cannot be followed:`, error);
      end();
    });
    effects.onLeaveContext(end);
  }
}

function missing(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** `base` with everything that `over` says; objects are entered, anything else is replaced. */
function combined(base: unknown, over: unknown): unknown {
  if (!isPlain(base) || !isPlain(over)) return over;
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) delete result[key];
    else result[key] = combined(result[key], value);
  }
  return result;
}
