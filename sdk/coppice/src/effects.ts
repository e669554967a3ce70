/**
 * What a package may ask of its host: the effects, and the values that cross with them.
 *
 * Invariant: these are the host's words, field by field (`service-abi`, "The effects"). Nothing here
 * runs; package code rarely needs more of it than the type {@link Effects}.
 */
import type {
  AddressInfo,
  BindParams,
  Host,
  InterfaceType,
  PluginUrl,
  PortForward,
  ServiceInterface,
} from './wire-network.js';

/** Why `init` runs: see {@link PackageParts.setup}. */
export type InitKind = 'install' | 'update' | 'restore' | null;

/** Called once, when what was read may have changed. */
export type Callback = () => void;

/** How urgent a task is: a `critical` one stops the service until it is done. */
export type Severity = 'critical' | 'important' | 'optional';

/** Whether an action is offered: `hidden` ones can be run by tasks and other packages only. */
export type Visibility = 'enabled' | 'hidden' | { readonly disabled: string };

/** What an action looks like from outside. */
export interface ActionMetadata {
  readonly name: string;
  readonly description: string;
  readonly warning: string | null;
  readonly visibility: Visibility;
  readonly allowedStatuses: 'any' | 'only-running' | 'only-stopped';
  readonly hasInput: boolean;
  readonly group: string | null;
  readonly access?: 'public' | 'dependent' | 'user';
}

/** A form as the host passes it to the browser. */
export interface ActionInput {
  readonly eventId: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly value: Readonly<Record<string, unknown>> | null;
}

/** One value that an action shows. */
export type ResultValue =
  | {
      readonly type: 'single';
      readonly value: string;
      readonly copyable: boolean;
      readonly qr: boolean;
      readonly masked: boolean;
    }
  | { readonly type: 'group'; readonly value: readonly ResultMember[] };

/** One named value of a group. */
export type ResultMember = { readonly name: string; readonly description: string | null } & ResultValue;

/** What an action answers. */
export interface ActionResult {
  readonly version: '1';
  readonly title: string;
  readonly message: string | null;
  readonly result: ResultValue | null;
}

/** A task as the host keeps it. */
export interface TaskParams {
  readonly replayId: string;
  readonly packageId: string;
  readonly actionId: string;
  readonly severity: Severity;
  readonly reason?: string;
  readonly when?: { readonly condition: 'input-not-matches'; readonly once: boolean };
  readonly input?: { readonly kind: 'partial'; readonly accept: readonly object[]; readonly set: object };
}

/** What a package needs of another one, from now on. */
export type DependencyRequirement =
  | { readonly kind: 'running'; readonly id: string; readonly versionRange: string; readonly healthChecks: readonly string[] }
  | { readonly kind: 'exists'; readonly id: string; readonly versionRange: string };

/** How a check went. */
export type HealthResult = 'success' | 'disabled' | 'starting' | 'waiting' | 'loading' | 'failure';

/** A service's state as the host tells it. */
export interface StatusInfo {
  readonly health: Readonly<Record<string, { readonly name: string; readonly result: HealthResult; readonly message: string | null }>>;
  readonly error: { readonly details: string } | null;
  /** RFC 3339; null while the service is not up. */
  readonly started: string | null;
  readonly desired: { readonly main: 'stopped' | 'running' | 'restarting' | 'backing-up' };
}

/** How a current dependency is. */
export interface DependencyState {
  readonly packageId: string;
  readonly title: string | null;
  readonly installedVersion: string | null;
  readonly satisfies: readonly string[];
  readonly isRunning: boolean;
  readonly healthChecks: StatusInfo['health'];
}

/** How far something is: a share, a whole with parts, or only whether it is done. */
export type Progress =
  | boolean
  | null
  | { readonly done: number; readonly total: number | null; readonly units: 'bytes' | 'steps' | null }
  | { readonly overall: Progress; readonly phases: readonly { readonly name: string; readonly progress: Progress }[] };

/** Mail settings of the system. */
export interface Smtp {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  readonly username: string;
  readonly password: string | null;
  readonly security: 'starttls' | 'tls';
}

/** Ids on disk seen as other ids. */
export interface IdMap {
  readonly fromId: number;
  readonly toId: number;
  readonly range: number;
}

/** A daemon as Coppice takes it, see `docs/decisions/0024-daemons-declared-as-data.md`. */
export interface HostedDaemon {
  readonly id: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly graceMs?: number;
  readonly image?: {
    readonly id: string;
    readonly user?: string;
    readonly mounts?: readonly HostedMount[];
  };
  readonly ready?: HostedReady;
}

/** When such a daemon counts as ready: while something listens on its port. */
export interface HostedReady {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly graceMs: number;
  readonly everyMs: number;
  readonly well: string | null;
  readonly unwell: string;
}

/** A volume in such a daemon's root. */
export interface HostedMount {
  readonly volume: string;
  readonly subpath?: string;
  readonly mountpoint: string;
  readonly readonly?: boolean;
}

/** The part of a manifest that other packages look at. */
export interface InstalledManifest {
  readonly id: string;
  readonly title: string;
  readonly version: string;
}

/**
 * Everything a package may ask of its host, and the scope it asks in.
 *
 * @example
 * ```ts
 * import type { Effects } from '@coppice/sdk';
 *
 * async function tell(effects: Effects): Promise<void> {
 *   await effects.notification.create({ level: 'info', title: 'Done', message: 'The index is built.' });
 * }
 * ```
 */
export interface Effects {
  /** The event that this scope belongs to; null in `main`. */
  readonly eventId: string | null;
  /** A scope below this one; one of the same name is left first. */
  child(name: string): Effects;
  /** Called when something that was {@link use}d has changed. */
  constRetry?: (() => void) | undefined;
  /** Whether this scope is still alive. */
  isInContext: boolean;
  /** Has `fn` called when this scope is left. */
  onLeaveContext(fn: () => void): void;
  clearCallbacks(o: { only: readonly number[] } | { except: readonly number[] }): Promise<null>;
  readonly action: {
    export(o: { id: string; metadata: ActionMetadata }): Promise<null>;
    clear(o: { except: readonly string[] }): Promise<null>;
    getInput(o: { packageId?: string; actionId: string }): Promise<ActionInput | null>;
    run(o: { packageId?: string; actionId: string; input?: unknown }): Promise<ActionResult | null>;
    createTask(o: TaskParams): Promise<null>;
    clearTasks(o: { only: readonly string[] } | { except: readonly string[] }): Promise<null>;
  };
  restart(): Promise<null>;
  shutdown(): Promise<null>;
  getStatus(o: { packageId?: string; callback?: Callback }): Promise<StatusInfo | null>;
  /** Coppice's own: absent on StartOS, where daemons are run by the package. */
  setDaemons?(o: { daemons: readonly HostedDaemon[] }): Promise<null>;
  setMainStatus(o: { status: 'running' | 'stopped' }): Promise<null>;
  setDependencies(o: { dependencies: readonly DependencyRequirement[] }): Promise<null>;
  getDependencies(): Promise<readonly DependencyRequirement[]>;
  checkDependencies(o: { packageIds?: readonly string[] }): Promise<readonly DependencyState[]>;
  mount(o: {
    location: string;
    target: { packageId: string; volumeId: string; subpath: string | null; readonly: boolean; idmap: readonly IdMap[] };
  }): Promise<unknown>;
  getInstalledPackages(): Promise<readonly string[]>;
  getServiceManifest(o: { packageId: string; callback?: Callback }): Promise<InstalledManifest | null>;
  setBackupProgress(o: { progress: Progress }): Promise<null>;
  setInitProgress(o: { progress: Progress }): Promise<null>;
  setHealth(o: { id: string; name: string; result: HealthResult; message: string | null }): Promise<null>;
  readonly notification: {
    create(o: { level: 'success' | 'info' | 'warning' | 'error'; title: string; message: string; data?: string }): Promise<null>;
  };
  readonly subcontainer: {
    createFs(o: { imageId: string; name: string | null }): Promise<readonly [path: string, guid: string]>;
    destroyFs(o: { guid: string }): Promise<null>;
  };
  bind(o: BindParams): Promise<null>;
  bindRange(o: { id: string; internalStartPort: number; externalStartPort: number; numberOfPorts: number }): Promise<null>;
  getServicePortForward(o: { packageId?: string; hostId: string; internalPort: number }): Promise<PortForward>;
  clearBindings(o: { except: readonly { id: string; internalPort: number }[] }): Promise<null>;
  getHostInfo(o: { hostId: string; packageId?: string; callback?: Callback }): Promise<Host | null>;
  getContainerIp(o: { packageId?: string; callback?: Callback }): Promise<string | null>;
  getOsIp(): Promise<string>;
  getOutboundGateway(o: { callback?: Callback }): Promise<string>;
  exportServiceInterface(o: {
    id: string;
    name: string;
    description: string;
    masked: boolean;
    addressInfo: AddressInfo;
    type: InterfaceType;
  }): Promise<null>;
  exportRangeServiceInterface(o: {
    hostId: string;
    internalStartPort: number;
    id: string;
    name: string;
    description: string;
    scheme: string | null;
  }): Promise<null>;
  getServiceInterface(o: { packageId?: string; serviceInterfaceId: string; callback?: Callback }): Promise<ServiceInterface | null>;
  listServiceInterfaces(o: { packageId?: string; callback?: Callback }): Promise<Readonly<Record<string, ServiceInterface>>>;
  clearServiceInterfaces(o: { except: readonly string[] }): Promise<null>;
  readonly plugin: {
    readonly url: {
      register(o: { tableAction: string }): Promise<null>;
      exportUrl(o: { hostnameInfo: PluginUrl; removeAction: string | null; overflowActions: readonly string[] }): Promise<null>;
      clearUrls(o: { except: readonly PluginUrl[] }): Promise<null>;
    };
  };
  getSslCertificate(o: { hostnames: readonly string[]; algorithm?: 'ecdsa' | 'ed25519'; callback?: Callback }): Promise<readonly string[]>;
  getSslKey(o: { hostnames: readonly string[]; algorithm?: 'ecdsa' | 'ed25519' }): Promise<string>;
  setDataVersion(o: { version: string | null }): Promise<null>;
  getDataVersion(): Promise<string | null>;
  getSystemSmtp(o: { callback?: Callback }): Promise<Smtp | null>;
}
