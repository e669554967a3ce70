/**
 * A host in memory: runs a package's code in milliseconds.
 *
 * Effects are written down and answered as a host would answer that has nothing installed but what the
 * test has put there; volumes are folders below a temporary one; programs are stood in for (see {@link Programs}).
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  ActionInput,
  ActionResult,
  DependencyRequirement,
  DependencyState,
  Effects,
  HostedDaemon,
  InitKind,
  InstalledManifest,
  Smtp,
  StatusInfo,
  TaskParams,
} from '../effects.js';
import type { PackageExports } from '../package.js';
import type { RunningService } from '../daemons/service.js';
import { MEDIA_VARIABLE } from '../places.js';
import { replaceSpawner } from '../spawner.js';
import type { UninitTarget } from '../versions.js';
import type { Host } from '../wire-network.js';
import { Programs } from './programs.js';
import { Scope } from './scope.js';

/** One effect that was asked for, by its name on the wire. */
export interface EffectCall {
  readonly effect: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What kind of host a test wants. */
export interface HostOptions {
  /** `startos` takes no daemons; Coppice does. */
  readonly kind?: 'coppice' | 'startos';
  /** The host's language, such as `de_DE`. */
  readonly locale?: string;
}

/** A host in memory; get one from {@link withHost}. */
export class TestHost {
  /** Every effect, oldest first. */
  readonly calls: EffectCall[] = [];
  readonly programs = new Programs();
  /** What each check said last, by its id. */
  readonly health = new Map<string, { readonly name: string; readonly result: string; readonly message: string | null }>();
  readonly tasks = new Map<string, TaskParams>();
  /** Daemons that Coppice was told of. */
  daemons: readonly HostedDaemon[] = [];
  dataVersion: string | null = null;
  readonly #root = mkdtempSync(join(tmpdir(), 'coppice-sdk-'));
  readonly #scope = new Scope();
  readonly #watching = new Map<string, Set<() => void>>();
  readonly #statuses = new Map<string, StatusInfo>();
  readonly #manifests = new Map<string, InstalledManifest>();
  readonly #hosts = new Map<string, Host>();
  readonly #before: readonly (readonly [string, string | undefined])[];
  #needs: readonly DependencyRequirement[] = [];
  #smtp: Smtp | null = null;
  #main: RunningService | null = null;
  #events = 0;
  #subcontainers = 0;

  constructor(
    private readonly pkg: PackageExports,
    private readonly options: HostOptions = {},
  ) {
    this.#before = [MEDIA_VARIABLE, 'LANG'].map(name => [name, process.env[name]]);
    process.env[MEDIA_VARIABLE] = this.#root;
    process.env['LANG'] = `${options.locale ?? 'en_US'}.UTF-8`;
    for (const id of pkg.manifest.volumes) mkdirSync(join(this.#root, 'volumes', id), { recursive: true });
    replaceSpawner(this.programs.spawn);
  }

  /** Ends everything and takes the folder away. */
  async close(): Promise<void> {
    try {
      await this.stop();
    } finally {
      this.#scope.leave();
      replaceSpawner(null);
      for (const [name, value] of this.#before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      rmSync(this.#root, { recursive: true, force: true });
    }
  }

  /** As when the package is installed (`install`), updated, restored, or its container starts (null). */
  async init(kind: InitKind = null): Promise<void> {
    await this.pkg.init({ effects: this.#effects(this.#scope.child('init'), this.#event()), kind });
  }

  /** As when the service is started. */
  async start(): Promise<void> {
    const effects = this.#effects(this.#scope.child('main'), null);
    effects.constRetry = () => {
      if (effects.isInContext) void effects.restart();
    };
    this.#main = await (await this.pkg.main({ effects })).build();
  }

  /** Whether it runs, and all of it is with the host: then its JavaScript sleeps when nothing is asked of it. */
  get isHeldByHost(): boolean {
    return this.#main?.isHeldByHost === true;
  }

  /** As when it is stopped. */
  async stop(): Promise<void> {
    this.#scope.child('main').leave();
    const main = this.#main;
    this.#main = null;
    await main?.term();
    this.daemons = [];
  }

  /** As when the package goes (null) or another version comes. */
  async uninit(target: UninitTarget | null = null): Promise<void> {
    const scope = new Scope();
    scope.leave();
    await this.pkg.uninit({ effects: this.#effects(scope, this.#event()), target });
  }

  /** As when a backup is made; it is then what {@link TestHost.init} with `restore` finds. */
  async backup(): Promise<void> {
    mkdirSync(join(this.#root, 'backup'), { recursive: true });
    await this.pkg.createBackup({ effects: this.#effects(this.#scope.child('/backup/create'), this.#event()) });
  }

  /** Opens the form of an action. */
  form(id: string, prefill: object | null = null): Promise<ActionInput> {
    return this.#action(id).getInput({ effects: this.#effects(this.#scope.child(`/actions/${id}/getInput`), this.#event()), prefill });
  }

  /** Runs an action. */
  run(id: string, input: unknown = null): Promise<ActionResult | null> {
    return this.#action(id).run({ effects: this.#effects(this.#scope.child(`/actions/${id}/run`), this.#event()), input });
  }

  /** The text of a file in a volume. */
  read(volume: string, path: string): string {
    return readFileSync(join(this.#root, 'volumes', volume, path), 'utf8');
  }

  /** Writes a file in a volume, as a person or a program would. */
  write(volume: string, path: string, text: string): void {
    const place = join(this.#root, 'volumes', volume, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text);
  }

  /** What the image says of how its programs are started. */
  image(id: string, start: { readonly user?: string; readonly workdir?: string; readonly entrypoint?: readonly string[]; readonly cmd?: readonly string[] }): void {
    mkdirSync(join(this.#root, 'images'), { recursive: true });
    writeFileSync(join(this.#root, 'images', `${id}.json`), JSON.stringify(start));
  }

  /** The parameters of each call of one effect, oldest first. */
  asked(effect: string): readonly Readonly<Record<string, unknown>>[] {
    return this.calls.filter(call => call.effect === effect).map(call => call.params);
  }

  /** The names of all effects so far, without repetitions in a row. */
  names(): readonly string[] {
    return this.calls.map(call => call.effect).filter((name, index, all) => name !== all[index - 1]);
  }

  /** Changes another service's state, and tells who watches it. */
  setStatus(packageId: string, status: StatusInfo | null): void {
    this.#set(this.#statuses, packageId, status, 'get-status');
  }

  /** Installs, changes or removes another package. */
  setManifest(packageId: string, manifest: InstalledManifest | null): void {
    this.#set(this.#manifests, packageId, manifest, 'get-service-manifest');
  }

  /** Changes a host; one of the package's own without an id. */
  setHost(hostId: string, host: Host | null, packageId: string = this.pkg.manifest.id): void {
    this.#set(this.#hosts, `${packageId}/${hostId}`, host, 'get-host-info');
  }

  /** Changes the system's mail settings. */
  setSmtp(smtp: Smtp | null): void {
    this.#smtp = smtp;
    this.#fire('get-system-smtp');
  }

  /**
   * Waits until something holds.
   *
   * @throws after 5 s.
   */
  async until(what: string, holds: () => boolean): Promise<void> {
    const ends = performance.now() + 5_000;
    while (!holds()) {
      if (performance.now() > ends) throw new Error(`it did not come to pass that ${what}`);
      await delay(2);
    }
  }

  #action(id: string): NonNullable<ReturnType<PackageExports['actions']['get']>> {
    const action = this.pkg.actions.get(id);
    if (action === undefined) throw new Error(`the package has no action \`${id}\``);
    return action;
  }

  #event(): string {
    this.#events += 1;
    return `event-${this.#events}`;
  }

  #dependency(id: string): DependencyState {
    const [manifest, status] = [this.#manifests.get(id), this.#statuses.get(id)];
    return {
      packageId: id,
      title: manifest?.title ?? null,
      installedVersion: manifest?.version ?? null,
      satisfies: [],
      isRunning: status !== undefined && status.started !== null,
      healthChecks: status?.health ?? {},
    };
  }

  #set<T>(map: Map<string, T>, key: string, value: T | null, effect: string): void {
    if (value === null) map.delete(key);
    else map.set(key, value);
    this.#fire(effect);
  }

  #fire(effect: string): void {
    const watching = this.#watching.get(effect);
    this.#watching.delete(effect);
    for (const callback of watching ?? []) callback();
  }

  #effects(scope: Scope, eventId: string | null): Effects {
    const ask = <P extends object, R>(effect: string, answer: (params: P) => R) => (params?: P): Promise<R> => {
      // What a bundle sends is what the host would get: data, without functions.
      const data: Readonly<Record<string, unknown>> = JSON.parse(JSON.stringify(params ?? {}));
      this.calls.push({ effect, params: data });
      const { callback } = { callback: undefined, ...params };
      if (typeof callback === 'function' && scope.isAlive) this.#watch(effect, scope, callback);
      return Promise.resolve(answer((params ?? {}) as P));
    };
    const nothing = (effect: string): (() => Promise<null>) => ask(effect, () => null);
    const own = this.pkg.manifest.id;
    const effects: Effects = {
      eventId,
      constRetry: undefined,
      isInContext: scope.isAlive,
      child: name => this.#effects(scope.child(name), eventId),
      onLeaveContext: fn => scope.onLeave(fn),
      clearCallbacks: nothing('clear-callbacks'),
      action: {
        export: nothing('action.export'),
        clear: nothing('action.clear'),
        getInput: ask('action.get-input', () => null),
        run: ask('action.run', () => null),
        createTask: ask('action.create-task', (task: TaskParams) => {
          this.tasks.set(task.replayId, task);
          return null;
        }),
        clearTasks: ask('action.clear-tasks', (o: { only: readonly string[] } | { except: readonly string[] }) => {
          for (const id of [...this.tasks.keys()]) {
            if ('only' in o ? o.only.includes(id) : !o.except.includes(id)) this.tasks.delete(id);
          }
          return null;
        }),
      },
      restart: nothing('restart'),
      shutdown: nothing('shutdown'),
      getStatus: ask('get-status', ({ packageId = own }: { packageId?: string }) => this.#statuses.get(packageId) ?? null),
      ...(this.options.kind === 'startos'
        ? {}
        : {
            setDaemons: ask('set-daemons', ({ daemons }: { daemons: readonly HostedDaemon[] }) => {
              this.daemons = daemons;
              // It looks at once, and finds everything well.
              for (const { id, ready } of daemons) {
                if (ready !== undefined) this.health.set(id, { name: ready.name, result: 'success', message: ready.well });
              }
              return null;
            }),
          }),
      setMainStatus: nothing('set-main-status'),
      setDependencies: ask('set-dependencies', ({ dependencies }: { dependencies: readonly DependencyRequirement[] }) => {
        this.#needs = dependencies;
        return null;
      }),
      getDependencies: ask('get-dependencies', () => this.#needs),
      checkDependencies: ask('check-dependencies', ({ packageIds }: { packageIds?: readonly string[] }) =>
        this.#needs.flatMap(({ id }) => (packageIds?.includes(id) ?? true ? [this.#dependency(id)] : [])),
      ),
      mount: nothing('mount'),
      getInstalledPackages: ask('get-installed-packages', () => [own, ...this.#manifests.keys()]),
      getServiceManifest: ask('get-service-manifest', ({ packageId }: { packageId: string }) => this.#manifests.get(packageId) ?? null),
      setBackupProgress: nothing('set-backup-progress'),
      setInitProgress: nothing('set-init-progress'),
      setHealth: ask('set-health', ({ id, ...said }: Parameters<Effects['setHealth']>[0]) => {
        this.health.set(id, said);
        return null;
      }),
      notification: { create: nothing('notification.create') },
      subcontainer: {
        createFs: ask('subcontainer.create-fs', () => {
          this.#subcontainers += 1;
          const guid = `sub-${this.#subcontainers}`;
          const root = join(this.#root, 'subcontainers', guid);
          mkdirSync(join(root, 'etc'), { recursive: true });
          return [root, guid] as const;
        }),
        destroyFs: ask('subcontainer.destroy-fs', ({ guid }: { guid: string }) => {
          rmSync(join(this.#root, 'subcontainers', guid), { recursive: true, force: true });
          return null;
        }),
      },
      bind: nothing('bind'),
      bindRange: nothing('bind-range'),
      getServicePortForward: ask('get-service-port-forward', () => ({ assignedPort: null, assignedSslPort: null })),
      clearBindings: nothing('clear-bindings'),
      getHostInfo: ask('get-host-info', ({ hostId, packageId = own }: { hostId: string; packageId?: string }) => this.#hosts.get(`${packageId}/${hostId}`) ?? null),
      getContainerIp: ask('get-container-ip', () => '10.0.3.2'),
      getOsIp: ask('get-os-ip', () => '10.0.3.1'),
      getOutboundGateway: ask('get-outbound-gateway', () => 'eth0'),
      exportServiceInterface: nothing('export-service-interface'),
      exportRangeServiceInterface: nothing('export-range-service-interface'),
      getServiceInterface: ask('get-service-interface', () => null),
      listServiceInterfaces: ask('list-service-interfaces', () => ({})),
      clearServiceInterfaces: nothing('clear-service-interfaces'),
      plugin: {
        url: {
          register: nothing('plugin.url.register'),
          exportUrl: nothing('plugin.url.export-url'),
          clearUrls: nothing('plugin.url.clear-urls'),
        },
      },
      getSslCertificate: ask('get-ssl-certificate', () => []),
      getSslKey: ask('get-ssl-key', () => ''),
      setDataVersion: ask('set-data-version', ({ version }: { version: string | null }) => {
        this.dataVersion = version;
        return null;
      }),
      getDataVersion: ask('get-data-version', () => this.dataVersion),
      getSystemSmtp: ask('get-system-smtp', () => this.#smtp),
    };
    scope.onLeave(() => {
      effects.isInContext = false;
      effects.constRetry = undefined;
    });
    return effects;
  }

  #watch(effect: string, scope: Scope, callback: () => void): void {
    const watching = this.#watching.get(effect) ?? new Set();
    watching.add(callback);
    this.#watching.set(effect, watching);
    scope.onLeave(() => watching.delete(callback));
  }
}

/**
 * Runs a package against a host in memory for as long as `work` takes, and cleans up whatever happens.
 *
 * @example
 * ```ts
 * import { withHost } from '@coppice/sdk/testing';
 * import type { PackageExports } from '@coppice/sdk';
 *
 * async function installs(pkg: PackageExports): Promise<void> {
 *   await withHost(pkg, async host => {
 *     await host.init('install');
 *     console.log(host.names(), host.read('main', 'hello.conf'));
 *   });
 * }
 * ```
 */
export async function withHost<T>(pkg: PackageExports, work: (host: TestHost) => Promise<T>, options: HostOptions = {}): Promise<T> {
  const host = new TestHost(pkg, options);
  try {
    return await work(host);
  } finally {
    await host.close();
  }
}
