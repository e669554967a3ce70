/**
 * What the UI reads from the server, checked once at the border.
 *
 * Invariant: nothing that came over the wire reaches a component without passing a schema of
 * this file. Schemas name only the fields the UI uses; unknown fields are dropped. What the document
 * holds has a twin generated from Rust in `generated/`, and `Read` does not compile unless everything
 * the twin allows passes the schema: a field that Rust renames or a variant it adds fails the build.
 * What packages write (manifests, forms, results) has no Rust type and comes in as `unknown`.
 */
import * as z from 'zod/mini';
import type * as sent from './generated/document';

/** What comes out of a schema that takes all that the server may send as `_Sent`. */
export type Read<S extends z.ZodMiniType, _Sent extends z.input<S>> = z.output<S>;

/** For what the server only passes on: nothing is promised about it. */
const passedOn = <S extends z.ZodMiniType>(schema: S) => z.pipe(z.unknown(), schema);

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

const stateInfo = z.discriminatedUnion('state', [
  z.object({
    state: z.literal('installing'),
    installingInfo: z.object({ newManifest: passedOn(manifest), progress: passedOn(fullProgress) }),
  }),
  z.object({ state: z.literal('installed'), manifest: passedOn(manifest) }),
  z.object({
    state: z.literal('updating'),
    manifest: passedOn(manifest),
    installingInfo: z.object({ newManifest: passedOn(manifest), progress: passedOn(fullProgress) }),
  }),
  z.object({ state: z.literal('removing'), manifest: passedOn(manifest) }),
]) satisfies z.ZodMiniType<sent.StateInfo>;
export type StateInfo = Read<typeof stateInfo, sent.StateInfo>;

const healthReport = z.object({
  name: z.string(),
  result: z.enum(['success', 'disabled', 'starting', 'waiting', 'loading', 'failure']),
  message: z.nullable(z.string()),
}) satisfies z.ZodMiniType<sent.HealthReport>;
export type HealthReport = Read<typeof healthReport, sent.HealthReport>;

const desired = z.discriminatedUnion('main', [
  z.object({ main: z.literal('stopped') }),
  z.object({ main: z.literal('running') }),
  z.object({ main: z.literal('restarting') }),
  z.object({ main: z.literal('backing-up') }),
]);

const statusInfo = z.object({
  health: z.record(z.string(), healthReport),
  error: z.nullable(z.object({ details: z.string(), debug: z.string() })),
  started: z.nullable(z.string()),
  desired,
});
export type StatusInfo = Read<typeof statusInfo, sent.StatusInfo>;

const actionMetadata = z.object({
  name: z.string(),
  description: z.string(),
  warning: z.nullable(z.string()),
  visibility: z.union([z.literal('enabled'), z.literal('hidden'), z.object({ disabled: z.string() })]),
  allowedStatuses: z.enum(['any', 'only-running', 'only-stopped']),
  hasInput: z.boolean(),
  group: z.nullable(z.string()),
});
export type ActionMetadata = Read<typeof actionMetadata, sent.ActionMetadata>;

const severity = z.enum(['critical', 'important', 'optional']) satisfies z.ZodMiniType<sent.Severity>;
export type Severity = Read<typeof severity, sent.Severity>;

const taskEntry = z.object({
  active: z.boolean(),
  task: z.object({
    packageId: z.string(),
    actionId: z.string(),
    severity,
    reason: z.optional(z.string()),
    input: z.optional(z.object({ set: z.record(z.string(), z.unknown()) })),
  }),
});
export type TaskEntry = Read<typeof taskEntry, sent.TaskEntry>;

const hostnameInfo = z.object({
  ssl: z.boolean(),
  public: z.boolean(),
  hostname: z.string(),
  port: z.nullable(z.number()),
  metadata: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('ipv4'), gateway: z.string() }),
    z.object({ kind: z.literal('ipv6'), gateway: z.string() }),
    z.object({ kind: z.literal('mdns'), gateways: z.array(z.string()) }),
    z.object({ kind: z.literal('private-domain'), gateways: z.array(z.string()) }),
    z.object({ kind: z.literal('public-domain'), gateway: z.string() }),
    z.object({ kind: z.literal('plugin'), packageId: z.string() }),
  ]),
});
export type HostnameInfo = Read<typeof hostnameInfo, sent.HostnameInfo>;

const addresses = z.object({
  enabled: z.array(z.string()),
  disabled: z.array(z.tuple([z.string(), z.number()])),
  available: z.array(hostnameInfo),
});
export type Addresses = Read<typeof addresses, sent.Addresses>;

const serviceInterface = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  masked: z.boolean(),
  type: z.enum(['ui', 'p2p', 'api']),
  addressInfo: z.object({
    username: z.nullable(z.string()),
    scheme: z.nullable(z.string()),
    sslScheme: z.nullable(z.string()),
    suffix: z.string(),
  }),
});
export type ServiceInterface = Read<typeof serviceInterface, sent.ServiceInterface>;

const binding = z.object({
  enabled: z.boolean(),
  addresses,
  interfaces: z.record(z.string(), serviceInterface),
});
export type Binding = Read<typeof binding, sent.BindInfo>;

const by = z.discriminatedUnion('who', [
  z.object({ who: z.literal('coppice') }),
  z.object({ who: z.literal('package') }),
  z.object({ who: z.literal('account'), name: z.string() }),
]) satisfies z.ZodMiniType<sent.By>;
export type By = Read<typeof by, sent.By>;

const cause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exit'), code: z.number() }),
  z.object({ kind: z.literal('signal'), signal: z.number() }),
  z.object({ kind: z.literal('oom'), kills: z.number() }),
  z.object({ kind: z.literal('container-died') }),
  z.object({ kind: z.literal('runtime-died') }),
  z.object({ kind: z.literal('operator'), by, asked: z.enum(['start', 'stop', 'restart']) }),
  z.object({ kind: z.literal('failed-check'), check: z.string(), message: z.nullable(z.string()) }),
  z.object({ kind: z.literal('configuration-missing'), package: z.string(), action: z.string(), reason: z.nullable(z.string()) }),
  z.object({ kind: z.literal('start-failed'), message: z.string() }),
  z.object({ kind: z.literal('stop-failed'), message: z.string() }),
  z.object({ kind: z.literal('deadline'), waitedFor: z.string() }),
  z.object({ kind: z.literal('update-failed'), to: z.string(), message: z.string() }),
  z.object({ kind: z.literal('internal'), message: z.string() }),
]) satisfies z.ZodMiniType<sent.Cause>;
export type Cause = Read<typeof cause, sent.Cause>;

const service = z.string();
const link = z.discriminatedUnion('is', [
  z.object({ is: z.literal('failed'), service, what: z.string(), cause }),
  z.object({ is: z.literal('parked'), service }),
  z.object({ is: z.literal('held'), service }),
  z.object({ is: z.literal('stopped'), service }),
  z.object({ is: z.literal('starting'), service }),
  z.object({ is: z.literal('unwell'), service, check: z.string(), message: z.nullable(z.string()) }),
  z.object({ is: z.literal('missing'), service }),
  z.object({ is: z.literal('needs-task'), service, action: z.string(), reason: z.nullable(z.string()) }),
  z.object({ is: z.literal('disk-full'), free: z.number() }),
]) satisfies z.ZodMiniType<sent.Link>;
export type Link = Read<typeof link, sent.Link>;

const restartRecord = z.object({
  seq: z.number(),
  at: z.string(),
  what: z.string(),
  cause,
  because: z.array(link),
  action: z.string(),
  by,
  ranMs: z.nullable(z.number()),
  logs: z.array(z.string()),
}) satisfies z.ZodMiniType<sent.RestartRecord>;
export type RestartRecord = Read<typeof restartRecord, sent.RestartRecord>;

const parked = z.object({ since: z.string(), reason: z.string(), nextProbe: z.string() });

/** `reason` says it all in words; what it waits for is told in full by the server. */
const held = z.object({ since: z.string(), reason: z.string() });

const count = z.nullable(z.number());
const daemon = z.object({
  name: z.string(),
  owner: z.enum(['host', 'package']),
  usage: z.object({ cpuUs: count, memoryBytes: count, ioReadBytes: count, ioWriteBytes: count }),
});

const dependency = z.object({
  title: z.nullable(z.string()),
  versionRange: z.string(),
  kind: z.enum(['exists', 'running']),
});

export const packageEntry = z.object({
  stateInfo,
  statusInfo,
  icon: z.string(),
  registry: z.nullable(z.string()),
  actions: z.record(z.string(), actionMetadata),
  tasks: z.record(z.string(), taskEntry),
  hosts: z.record(z.string(), z.object({ bindings: z.record(z.string(), binding) })),
  currentDependencies: z.record(z.string(), dependency),
  restarts: z.record(z.string(), restartRecord),
  parked: z.nullable(parked),
  held: z.nullable(held),
  // Shown, never stored: there is none until the server has shown some.
  daemons: z.optional(z.record(z.string(), daemon)),
});
export type PackageEntry = Read<typeof packageEntry, sent.PackageEntry>;

export const serverInfo = z.object({
  name: z.string(),
  hostname: z.string(),
  version: z.string(),
  notices: z.array(z.string()),
});
export type ServerInfo = Read<typeof serverInfo, sent.ServerInfo>;

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
