/**
 * What the UI reads from the server, checked once at the border.
 *
 * Invariant: nothing that came over the wire reaches a component without passing a schema of
 * this file. Schemas name only the fields the UI uses; unknown fields are dropped, so a newer
 * server may add fields freely, but a field that changes its shape is caught here.
 */
import * as z from 'zod/mini';

/** One text, or one per language tag (`en_US`). */
export const localeString = z.union([z.string(), z.record(z.string(), z.string())]);
export type LocaleString = z.infer<typeof localeString>;

const manifest = z.object({
  id: z.string(),
  title: z.string(),
  version: z.string(),
  description: z.object({ short: localeString, long: localeString }),
  releaseNotes: z._default(localeString, ''),
  license: z._default(z.string(), ''),
  packageRepo: z._default(z.nullable(z.string()), null),
  upstreamRepo: z._default(z.nullable(z.string()), null),
  marketingUrl: z._default(z.nullable(z.string()), null),
  donationUrl: z._default(z.nullable(z.string()), null),
  gitHash: z._default(z.nullable(z.string()), null),
  osVersion: z._default(z.nullable(z.string()), null),
  sdkVersion: z._default(z.nullable(z.string()), null),
});
export type Manifest = z.infer<typeof manifest>;

/** `null`: not started, `false`: started, `true`: done, an object: how far. */
const plainProgress = z.union([
  z.null(),
  z.boolean(),
  z.object({
    done: z.number(),
    total: z.nullable(z.number()),
    units: z._default(z.nullable(z.enum(['bytes', 'steps'])), null),
  }),
]);
export type Progress = z.infer<typeof plainProgress> | FullProgress;
export interface FullProgress {
  overall: z.infer<typeof plainProgress>;
  phases: { name: string; progress: Progress }[];
}
export const fullProgress: z.ZodMiniType<FullProgress> = z.object({
  overall: plainProgress,
  phases: z.array(
    z.object({
      name: z.string(),
      progress: z.lazy((): z.ZodMiniType<Progress> => z.union([plainProgress, fullProgress])),
    }),
  ),
});

const installingInfo = z.object({ newManifest: manifest, progress: fullProgress });

const stateInfo = z.discriminatedUnion('state', [
  z.object({ state: z.literal('installing'), installingInfo }),
  z.object({ state: z.literal('restoring'), installingInfo }),
  z.object({ state: z.literal('updating'), manifest, installingInfo }),
  z.object({ state: z.literal('installed'), manifest }),
  z.object({ state: z.literal('removing'), manifest }),
]);
export type StateInfo = z.infer<typeof stateInfo>;

const healthCheck = z.object({
  name: z.string(),
  result: z.enum(['success', 'disabled', 'starting', 'waiting', 'loading', 'failure']),
  message: z._default(z.nullable(z.string()), null),
});
export type HealthCheck = z.infer<typeof healthCheck>;

const desired = z.discriminatedUnion('main', [
  z.object({ main: z.literal('stopped') }),
  z.object({ main: z.literal('running') }),
  z.object({ main: z.literal('restarting') }),
  z.object({ main: z.literal('backing-up') }),
]);

const errorData = z.object({ details: z.string(), debug: z._default(z.string(), '') });
export type ErrorData = z.infer<typeof errorData>;

const statusInfo = z.object({
  health: z._default(z.record(z.string(), healthCheck), {}),
  error: z._default(z.nullable(errorData), null),
  started: z._default(z.nullable(z.string()), null),
  desired,
});
export type StatusInfo = z.infer<typeof statusInfo>;

const actionMetadata = z.object({
  name: z.string(),
  description: z._default(z.string(), ''),
  warning: z._default(z.nullable(z.string()), null),
  visibility: z.union([
    z.literal('enabled'),
    z.literal('hidden'),
    z.object({ disabled: z.string() }),
  ]),
  allowedStatuses: z.enum(['any', 'only-running', 'only-stopped']),
  hasInput: z.boolean(),
  group: z._default(z.nullable(z.string()), null),
});
export type ActionMetadata = z.infer<typeof actionMetadata>;

const severity = z.enum(['critical', 'important', 'optional']);
export type Severity = z.infer<typeof severity>;

const jsonObject = z.record(z.string(), z.unknown());

const taskEntry = z.object({
  active: z.boolean(),
  task: z.object({
    packageId: z.string(),
    actionId: z.string(),
    severity,
    reason: z.optional(z.nullable(z.string())),
    input: z.optional(
      z.nullable(z.object({ set: z.optional(jsonObject), value: z.optional(jsonObject) })),
    ),
  }),
});
export type TaskEntry = z.infer<typeof taskEntry>;

const hostnameInfo = z.object({
  ssl: z.boolean(),
  public: z.boolean(),
  hostname: z.string(),
  port: z.nullable(z.number()),
  metadata: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('ipv4'), gateway: z.string() }),
    z.object({ kind: z.literal('ipv6'), gateway: z.string(), scopeId: z._default(z.number(), 0) }),
    z.object({ kind: z.literal('mdns'), gateways: z.array(z.string()) }),
    z.object({ kind: z.literal('private-domain'), gateways: z.array(z.string()) }),
    z.object({ kind: z.literal('public-domain'), gateway: z.string() }),
    z.object({ kind: z.literal('plugin'), packageId: z.string() }),
  ]),
});
export type HostnameInfo = z.infer<typeof hostnameInfo>;

const derivedAddresses = z.object({
  enabled: z._default(z.array(z.string()), []),
  disabled: z._default(z.array(z.tuple([z.string(), z.number()])), []),
  available: z._default(z.array(hostnameInfo), []),
});
export type DerivedAddresses = z.infer<typeof derivedAddresses>;

const serviceInterface = z.object({
  id: z.string(),
  name: z.string(),
  description: z._default(z.string(), ''),
  masked: z._default(z.boolean(), false),
  type: z.enum(['ui', 'p2p', 'api']),
  addressInfo: z.object({
    username: z._default(z.nullable(z.string()), null),
    scheme: z._default(z.nullable(z.string()), null),
    sslScheme: z._default(z.nullable(z.string()), null),
    suffix: z._default(z.string(), ''),
  }),
});
export type ServiceInterface = z.infer<typeof serviceInterface>;

const binding = z.object({
  enabled: z.boolean(),
  addresses: derivedAddresses,
  interfaces: z._default(z.record(z.string(), serviceInterface), {}),
});
export type Binding = z.infer<typeof binding>;

const host = z.object({ bindings: z._default(z.record(z.string(), binding), {}) });
export type Host = z.infer<typeof host>;

const restartCause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exit'), code: z.number() }),
  z.object({ kind: z.literal('signal'), signal: z.union([z.number(), z.string()]) }),
  z.object({ kind: z.literal('oom') }),
  z.object({ kind: z.literal('container-died') }),
  z.object({ kind: z.literal('runtime-died') }),
  z.object({ kind: z.literal('operator'), by: z.string() }),
  z.object({ kind: z.literal('start-failed'), message: z.string() }),
]);
export type RestartCause = z.infer<typeof restartCause>;

const restartRecord = z.object({
  at: z.string(),
  what: z.string(),
  cause: restartCause,
  action: z.string(),
  logs: z._default(z.array(z.string()), []),
});
export type RestartRecord = z.infer<typeof restartRecord>;

const parked = z.object({
  since: z.string(),
  reason: z.string(),
  nextProbe: z._default(z.nullable(z.string()), null),
});
export type Parked = z.infer<typeof parked>;

const dependency = z.object({
  title: z._default(z.nullable(localeString), null),
  versionRange: z._default(z.string(), '*'),
  kind: z.enum(['exists', 'running']),
});
export type Dependency = z.infer<typeof dependency>;

export const packageEntry = z.object({
  stateInfo,
  statusInfo,
  icon: z._default(z.string(), ''),
  registry: z._default(z.nullable(z.string()), null),
  actions: z._default(z.record(z.string(), actionMetadata), {}),
  tasks: z._default(z.record(z.string(), taskEntry), {}),
  hosts: z._default(z.record(z.string(), host), {}),
  currentDependencies: z._default(z.record(z.string(), dependency), {}),
  restarts: z._default(z.array(restartRecord), []),
  parked: z._default(z.nullable(parked), null),
});
export type PackageEntry = z.infer<typeof packageEntry>;

export const serverInfo = z.object({
  name: z._default(z.nullable(z.string()), null),
  hostname: z.string(),
  version: z.string(),
  caFingerprint: z._default(z.nullable(z.string()), null),
});
export type ServerInfo = z.infer<typeof serverInfo>;

/** One log line. `stream` and `source` are ours and may be absent. */
export const logEntry = z.object({
  timestamp: z.string(),
  message: z.string(),
  bootId: z._default(z.nullable(z.string()), null),
  stream: z.optional(z.nullable(z.string())),
  source: z.optional(z.nullable(z.string())),
});
export type LogEntry = z.infer<typeof logEntry>;

export const logPage = z.object({
  entries: z.array(logEntry),
  startCursor: z._default(z.nullable(z.string()), null),
});
export const logFollow = z.object({
  guid: z.string(),
  startCursor: z._default(z.nullable(z.string()), null),
});

export const sideloadTicket = z.object({ upload: z.string(), progress: z.string() });

const single = z.object({
  type: z.literal('single'),
  value: z.string(),
  copyable: z.boolean(),
  qr: z.boolean(),
  masked: z.boolean(),
});
export type SingleResult = z.infer<typeof single>;
export type ResultMember = { name: string; description: string | null } & ResultValue;
export type ResultValue = SingleResult | { type: 'group'; value: ResultMember[] };

const memberHead = { name: z.string(), description: z._default(z.nullable(z.string()), null) };
const resultMember: z.ZodMiniType<ResultMember> = z.union([
  z.extend(single, memberHead),
  z.object({
    ...memberHead,
    type: z.literal('group'),
    value: z.lazy(() => z.array(resultMember)),
  }),
]);
const resultValue: z.ZodMiniType<ResultValue> = z.union([
  single,
  z.object({ type: z.literal('group'), value: z.array(resultMember) }),
]);

/** Null when the action has nothing to show. Version 0 is lifted to version 1. */
export const actionResult = z.nullable(
  z.union([
    z.object({
      version: z.literal('1'),
      title: z.string(),
      message: z._default(z.nullable(z.string()), null),
      result: z._default(z.nullable(resultValue), null),
    }),
    z.object({
      version: z.literal('0'),
      message: z.string(),
      value: z.nullable(z.string()),
      copyable: z.boolean(),
      qr: z.boolean(),
    }),
  ]),
);
export type ActionResult = NonNullable<z.infer<typeof actionResult>>;
