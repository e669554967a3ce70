/**
 * Subcontainers: roots over an image, in which a package runs programs.
 *
 * ```text
 *  create-fs ─▶ leader (`launch`) ─▶ /proc/1 is there ─▶ mounts, resolv.conf, /dev, /sys ─▶ exec … ─▶ destroy-fs
 * ```
 *
 * Invariant: who opens one closes it, also when something in between fails. The words after
 * `start-container` are those of `service-abi`, §6.2.
 */
import { access, copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Effects } from '../effects.js';
import { commandWords, imageStart, type Command } from '../image.js';
import { media } from '../places.js';
import { CommandFailed, runToEnd, start, type Output, type Running, type RunOptions, type SpawnOptions } from '../spawner.js';
import type { Mount } from '../volume.js';

/** A subcontainer as data; made by {@link PackageHandle.subcontainer}. */
export interface SubcontainerSpec {
  readonly image: string;
  readonly name: string | null;
  readonly mounts: readonly Mount[];
}

/** How a program is started in a subcontainer. */
export interface ExecOptions {
  /** A user of the image, with or without `:group`; the image's own without. */
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const CLI = 'start-container';
/** The host mounts `/proc` within 100 ms; a machine under load may take longer, and is waited for. */
const PROC_WAIT_MS = 10_000;
const LEADER_GRACE_MS = 30_000;

/** A subcontainer that is open. */
export class Subcontainer {
  private constructor(
    private readonly effects: Effects,
    readonly spec: SubcontainerSpec,
    /** Its root, as this package's JavaScript sees it. */
    readonly root: string,
    private readonly guid: string,
    private readonly leader: Running,
  ) {}

  /** Opens one, with its mounts. */
  static async open(effects: Effects, spec: SubcontainerSpec): Promise<Subcontainer> {
    const [root, guid] = await effects.subcontainer.createFs({ imageId: spec.image, name: spec.name });
    const leader = start([CLI, 'subcontainer', 'launch', root], {});
    const opened = new Subcontainer(effects, spec, root, guid, leader);
    try {
      await opened.#ready();
      for (const mount of spec.mounts) await opened.#mount(mount);
      await copyFile('/etc/resolv.conf', join(root, 'etc/resolv.conf')).catch(() => undefined);
      for (const folder of ['dev', 'sys']) {
        await mkdir(join(root, folder), { recursive: true });
        await must(['mount', '--rbind', `/${folder}`, join(root, folder)]);
      }
      return opened;
    } catch (error) {
      await opened.close().catch((closing: unknown) => console.warn('a subcontainer was not closed:', closing));
      throw error;
    }
  }

  /** Starts a program, and does not wait for it. */
  async spawn(command: Command, options: ExecOptions = {}, spawning: SpawnOptions = {}): Promise<Running> {
    return start(await this.#argv(command, options), spawning);
  }

  /** Runs a program to its end, whatever that is. */
  async exec(command: Command, options: ExecOptions & RunOptions = {}): Promise<Output> {
    return runToEnd(await this.#argv(command, options), options);
  }

  /**
   * Runs a program that must end well.
   *
   * @throws {CommandFailed} with the last of what it wrote.
   */
  async run(command: Command, options: ExecOptions & RunOptions = {}): Promise<string> {
    const output = await this.exec(command, options);
    if (output.exit.code !== 0) {
      const program = 'kind' in command ? `the program of image \`${this.spec.image}\`` : `\`${command[0]}\``;
      throw new CommandFailed(program, output);
    }
    return output.stdout;
  }

  /** Writes a file in it, as root. */
  async writeFile(path: string, text: string): Promise<void> {
    const place = join(this.root, path);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, text);
  }

  /** Ends whatever runs in it, and takes it away. */
  async close(): Promise<void> {
    this.leader.kill('SIGTERM');
    const timer = setTimeout(() => this.leader.kill('SIGKILL'), LEADER_GRACE_MS);
    await this.leader.exit.catch(() => undefined);
    clearTimeout(timer);
    await this.effects.subcontainer.destroyFs({ guid: this.guid });
  }

  async #ready(): Promise<void> {
    const early = this.leader.exit.then(exit => {
      throw new Error(`the first process of a subcontainer of image \`${this.spec.image}\` ended at once, with ${exit.code ?? exit.signal}`);
    });
    early.catch(() => undefined);
    const proc = join(this.root, 'proc/1');
    for (let waited = 0; ; waited += 2) {
      if (await access(proc).then(() => true, () => false)) return;
      if (waited >= PROC_WAIT_MS) throw new Error(`the subcontainer of image \`${this.spec.image}\` did not start`);
      await Promise.race([delay(2), early]);
    }
  }

  async #mount(mount: Mount): Promise<void> {
    const target = join(this.root, mount.mountpoint);
    if (mount.kind === 'dependency') {
      await mkdir(target, { recursive: true });
      const { packageId, volume, subpath, readonly, idmap } = mount;
      await this.effects.mount({ location: target, target: { packageId, volumeId: volume, subpath, readonly, idmap } });
      return;
    }
    const source = mount.kind === 'volume' ? media('volumes', mount.volume, mount.subpath ?? '') : media('assets', mount.subpath ?? '');
    if (mount.kind === 'volume') await mkdir(source, { recursive: true }).catch(() => undefined);
    const isFile = await stat(source).then(found => found.isFile(), () => false);
    await must([
      CLI,
      'bind-mount',
      '--source',
      source,
      '--target',
      target,
      '--recursive',
      ...(mount.kind === 'volume' && mount.readonly ? ['--readonly'] : []),
      ...(isFile ? ['--file'] : []),
    ]);
  }

  async #argv(command: Command, { user, cwd, env = {} }: ExecOptions): Promise<readonly [string, ...string[]]> {
    const { image } = this.spec;
    const start = await imageStart(image);
    return [
      CLI,
      'subcontainer',
      'exec',
      `--env-file=${media('images', `${image}.env`)}`,
      `--user=${user ?? start.user}`,
      `--workdir=${cwd ?? start.workdir}`,
      ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
      this.root,
      ...commandWords(command, image, start),
    ];
  }
}

async function must(argv: readonly [string, ...string[]]): Promise<void> {
  const output = await runToEnd(argv, {});
  if (output.exit.code !== 0) throw new CommandFailed(`\`${argv.join(' ')}\``, output);
}

/**
 * A subcontainer for as long as `work` takes.
 *
 * @example
 * ```ts
 * import { withSubcontainer, type Effects } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * async function versionOf(effects: Effects): Promise<string> {
 *   const spec = hello.subcontainer({ image: 'hello' });
 *   return withSubcontainer(effects, spec, box => box.run(['hello', '--version']));
 * }
 * ```
 */
export async function withSubcontainer<T>(effects: Effects, spec: SubcontainerSpec, work: (box: Subcontainer) => Promise<T>): Promise<T> {
  const box = await Subcontainer.open(effects, spec);
  try {
    return await work(box);
  } finally {
    await box.close();
  }
}
