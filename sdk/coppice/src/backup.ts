/**
 * Backups: volumes copied by `rsync` to where the host mounts the target, and back.
 *
 * Invariant: the data version goes along, so that what is restored is migrated from what it really is.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { Effects } from './effects.js';
import { media } from './places.js';
import { CommandFailed, start } from './spawner.js';
import type { Volume } from './volume.js';

/** One volume in a backup. */
export interface BackedUp {
  readonly volume: Volume;
  /** Patterns of `rsync` for what is left out. */
  readonly exclude?: readonly string[];
}

/** What {@link backup} takes. */
export interface BackupOptions {
  readonly volumes: readonly (Volume | BackedUp)[];
  /** Before the copy: such as dumping a database into a volume that is copied. The service is stopped. */
  readonly before?: (effects: Effects) => Promise<void>;
  /** After the copy. */
  readonly after?: (effects: Effects) => Promise<void>;
  /** After a restore, before migrations: such as reading the dump in again. */
  readonly afterRestore?: (effects: Effects) => Promise<void>;
}

/** How a package is backed up and restored; made by {@link backup}. */
export class Backup {
  readonly #volumes: readonly BackedUp[];

  constructor(private readonly options: BackupOptions) {
    this.#volumes = options.volumes.map(one => ('volume' in one ? one : { volume: one }));
  }

  /** Copies everything to the target. */
  async create(effects: Effects): Promise<void> {
    await this.options.before?.(effects);
    for (const [index, { volume, exclude = [] }] of this.#volumes.entries()) {
      await copy(volume.path(), place(volume), exclude, share => this.#tell(effects, index, share));
    }
    const version = await effects.getDataVersion();
    if (version !== null) await writeFile(media('backup', VERSION), version);
    await this.options.after?.(effects);
  }

  /** Copies everything back. */
  async restore(effects: Effects): Promise<void> {
    for (const { volume } of this.#volumes) await copy(place(volume), volume.path(), [], () => undefined);
    const version = await readFile(media('backup', VERSION), 'utf8').catch(() => null);
    if (version !== null) await effects.setDataVersion({ version: version.trim() });
    await this.options.afterRestore?.(effects);
  }

  #tell(effects: Effects, index: number, share: number): void {
    const phases = this.#volumes.map(({ volume }, other) => ({
      name: volume.id,
      progress: other < index ? true : other > index ? null : { done: share, total: 100, units: null },
    }));
    const done = index * 100 + share;
    effects
      .setBackupProgress({ progress: { overall: { done, total: this.#volumes.length * 100, units: null }, phases } })
      .catch((error: unknown) => console.warn('progress was not told:', error));
  }
}

const VERSION = 'dataVersion.txt';

const place = (volume: Volume): string => media('backup', 'volumes', volume.id);

async function copy(from: string, to: string, exclude: readonly string[], tell: (share: number) => void): Promise<void> {
  await mkdir(to, { recursive: true });
  const written = { stdout: '', stderr: '' };
  let told = -1;
  const running = start(
    [
      'rsync',
      '--delete',
      ...exclude.map(pattern => `--exclude=${pattern}`),
      '-rlptgoAXH',
      '--partial',
      '--inplace',
      '--timeout=300',
      '--info=progress2',
      `${from}/`,
      `${to}/`,
    ],
    {
      output: (stream, text) => {
        written[stream] = (written[stream] + text).slice(-4_000);
        const share = Number(/(\d+)%[^%]*$/.exec(text)?.[1] ?? told);
        if (stream !== 'stdout' || share <= told) return;
        told = share;
        tell(share);
      },
    },
  );
  const exit = await running.exit;
  if (exit.code !== 0) throw new CommandFailed(`copying ${from} to ${to}`, { exit, ...written });
}

/**
 * Backs up these volumes.
 *
 * @example
 * ```ts
 * import { backup } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const plain = backup({ volumes: [hello.volume('main')] });
 * const lean = backup({ volumes: [{ volume: hello.volume('main'), exclude: ['cache/'] }] });
 * ```
 */
export function backup(options: BackupOptions): Backup {
  return new Backup(options);
}
