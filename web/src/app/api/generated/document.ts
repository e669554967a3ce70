// Written by `make gen` from Rust types; change those instead.

/**
 * Who besides the user may run an action.
 */
export type Access = "public" | "dependent" | "user";

/**
 * What a package says of one of its actions.
 */
export type ActionMetadata = { 
/**
 * Name on the button.
 */
name: string, 
/**
 * What it does.
 */
description: string, 
/**
 * Shown for confirmation before it runs.
 */
warning: string | null, 
/**
 * Whether it is shown and may run.
 */
visibility: Visibility, 
/**
 * In which states of the service it may run.
 */
allowedStatuses: AllowedStatuses, 
/**
 * Whether a form comes first.
 */
hasInput: boolean, 
/**
 * Heading it is listed under.
 */
group: string | null, 
/**
 * Who besides the user may run it.
 */
access: Access, };

/**
 * TLS that Coppice puts in front of a port.
 */
export type AddSsl = { 
/**
 * The external port it would like for TLS.
 */
preferredExternalPort: number, 
/**
 * Add `X-Forwarded-For` and `X-Forwarded-Proto`.
 */
addXForwardedHeaders: boolean, 
/**
 * Which protocols TLS offers.
 */
alpn: Alpn | null, 
/**
 * How the service's own certificate is checked; kept for packages that read it back.
 */
upstreamCertValidation?: unknown, 
/**
 * Credentials that Coppice asks for in front; kept for packages that read it back.
 */
auth: unknown, };

/**
 * How an interface's URL is put together.
 */
export type AddressInfo = { 
/**
 * User name in the URL.
 */
username: string | null, 
/**
 * The host it belongs to.
 */
hostId: string, 
/**
 * The binding it belongs to.
 */
internalPort: number, 
/**
 * Scheme without TLS.
 */
scheme: string | null, 
/**
 * Scheme with TLS.
 */
sslScheme: string | null, 
/**
 * Path and query.
 */
suffix: string, };

/**
 * Where a binding can be reached, and which of these the user switched.
 */
export type Addresses = { 
/**
 * Public `ip:port` that the user switched on.
 */
enabled: Array<string>, 
/**
 * Local `[host, port]` that the user switched off.
 */
disabled: Array<[string, number]>, 
/**
 * Global IPv6 addresses opened to the internet.
 */
guaWan: Array<string>, 
/**
 * Every address there is.
 */
available: Array<HostnameInfo>, };

/**
 * In which states of the service an action may run.
 */
export type AllowedStatuses = "any" | "only-running" | "only-stopped";

/**
 * Which protocols TLS offers.
 */
export type Alpn = "reflect" | { "specified": unknown };

/**
 * What somebody asked of a service.
 */
export type Asked = "start" | "stop" | "restart";

/**
 * A service whose Node process ended for having nothing to do.
 */
export type Asleep = { 
/**
 * Since when.
 */
since: string, 
/**
 * Which generation of the runtime fell asleep.
 */
generation: number, 
/**
 * In which life of the container.
 */
container: string, 
/**
 * Whether it waits to be told of changes.
 */
watches: boolean, };

/**
 * One port of a service that is reachable from outside its container.
 */
export type BindInfo = { 
/**
 * False once the package no longer declares it; its ports stay reserved.
 */
enabled: boolean, 
/**
 * What the package asked for.
 */
options: BindOptions, 
/**
 * What it was given.
 */
net: BindNet, 
/**
 * Where it can be reached.
 */
addresses: Addresses, 
/**
 * The interfaces on it, by interface id.
 */
interfaces: { [key in string]: ServiceInterface }, };

/**
 * The external ports a binding was given.
 */
export type BindNet = { 
/**
 * For the bare protocol.
 */
assignedPort: number | null, 
/**
 * For TLS that Coppice terminates.
 */
assignedSslPort: number | null, };

/**
 * What the package asked for when it bound a port.
 */
export type BindOptions = { 
/**
 * The external port it would like.
 */
preferredExternalPort: number, 
/**
 * That Coppice puts TLS in front.
 */
addSsl: AddSsl | null, 
/**
 * What the service speaks by itself.
 */
secure: Secure | null, };

/**
 * Who did something.
 */
export type By = { "who": "coppice" } | { "who": "package" } | { "who": "account", 
/**
 * Its name.
 */
name: string, };

/**
 * Why a part of a service ended or did not start.
 */
export type Cause = { "kind": "exit", 
/**
 * Its exit code.
 */
code: number, } | { "kind": "signal", 
/**
 * The signal's number.
 */
signal: number, } | { "kind": "oom", 
/**
 * How many processes it killed there, counted in the part's own cgroup.
 */
kills: number, } | { "kind": "container-died" } | { "kind": "runtime-died" } | { "kind": "operator", 
/**
 * Who.
 */
by: By, 
/**
 * For what.
 */
asked: Asked, } | { "kind": "failed-check", 
/**
 * The check's name for people.
 */
check: string, 
/**
 * What it said last.
 */
message: string | null, } | { "kind": "configuration-missing", 
/**
 * The package that the task is about.
 */
package: string, 
/**
 * The action to run.
 */
action: string, 
/**
 * Why, where the package says so.
 */
reason: string | null, } | { "kind": "start-failed", 
/**
 * What it said.
 */
message: string, } | { "kind": "stop-failed", 
/**
 * What it said.
 */
message: string, } | { "kind": "deadline", 
/**
 * What was waited for.
 */
waitedFor: string, } | { "kind": "update-failed", 
/**
 * The version that did not.
 */
to: string, 
/**
 * Why.
 */
message: string, } | { "kind": "internal", 
/**
 * What it said.
 */
message: string, };

/**
 * The owner's own limits for a service. What is null is Coppice's to choose.
 */
export type ChosenLimits = { 
/**
 * Memory in bytes, page cache included.
 */
memoryBytes: number | null, 
/**
 * Processes and threads.
 */
pids: number | null, 
/**
 * Share of the processor when it is scarce; 100 is usual.
 */
cpuWeight: number | null, };

/**
 * One dependency that the package declared by `set-dependencies`.
 */
export type CurrentDependency = { 
/**
 * Its name, when the package brought it.
 */
title: string | null, 
/**
 * Its icon as a `data:` URL, when the package brought it.
 */
icon: string | null, 
/**
 * The versions that will do.
 */
versionRange: string, } & ({ "kind": "exists" } | { "kind": "running", 
/**
 * Ids of the dependency's health checks.
 */
healthChecks: Array<string>, });

/**
 * Who starts a daemon again.
 */
export type DaemonOwner = "host" | "package";

/**
 * A living daemon. Shown, never stored.
 */
export type DaemonReport = { 
/**
 * What it is called: by its declaration, its subcontainer, or its program.
 */
name: string, 
/**
 * Who starts it again when it dies.
 */
owner: DaemonOwner, 
/**
 * Its pid as the container sees it.
 */
pid: number, 
/**
 * Since when it runs.
 */
since: string, 
/**
 * The cgroup leaf it is counted in; daemons in one subcontainer share one.
 */
leaf: string, 
/**
 * What is counted there.
 */
usage: DaemonUsage, };

/**
 * What a cgroup leaf has used. Null: nothing on this machine counts it, or nobody has looked yet.
 */
export type DaemonUsage = { 
/**
 * Processor time in microseconds.
 */
cpuUs: number | null, 
/**
 * Memory in bytes, without page cache that was not used lately.
 */
memoryBytes: number | null, 
/**
 * Bytes read from disks.
 */
ioReadBytes: number | null, 
/**
 * Bytes written to disks.
 */
ioWriteBytes: number | null, 
/**
 * Processes and threads; the one that waits to be the next incarnation of a daemon of the host's
 * is among them.
 */
pids: number | null, };

/**
 * What a service is asked to be; durable before anything acts on it.
 */
export type DesiredStatus = { "main": "stopped" } | { "main": "running" } | { "main": "restarting", 
/**
 * Go round once more after this restart.
 */
restartAgain: boolean, } | { "main": "backing-up", 
/**
 * What follows the backup.
 */
onComplete: NextStop, };

/**
 * An error as the API and the document show it.
 */
export type ErrorInfo = { 
/**
 * What failed, on what, and the next step.
 */
details: string, 
/**
 * The chain of causes, for a bug report.
 */
debug: string, 
/**
 * Parameters of the error, for translation.
 */
info: unknown, };

/**
 * One health check's report, as the package sent it.
 */
export type HealthReport = { 
/**
 * The check's name for people.
 */
name: string, 
/**
 * What it found.
 */
result: HealthResult, 
/**
 * What it says about it.
 */
message: string | null, };

/**
 * What a health check can find.
 */
export type HealthResult = "success" | "disabled" | "starting" | "waiting" | "loading" | "failure";

/**
 * A service that failed while something it needs was missing: it is tried again when that is there.
 */
export type Held = { 
/**
 * Since when.
 */
since: string, 
/**
 * What it waits for.
 */
waitsFor: WaitsFor, 
/**
 * Why that is missing, nearest first.
 */
because: Array<Link>, 
/**
 * All of it in plain words, with the way out.
 */
reason: string, };

/**
 * A group of bindings that share their domains.
 */
export type Host = { 
/**
 * Single ports, by internal port.
 */
bindings: { [key in string]: BindInfo }, 
/**
 * Port ranges, by internal start port.
 */
bindingRanges: { [key in string]: RangeBindInfo }, 
/**
 * Public domains; empty until clearnet access exists.
 */
publicDomains: Record<string, unknown>, 
/**
 * Private domains and their gateways.
 */
privateDomains: { [key in string]: Array<string> }, 
/**
 * Forwards that a router needs.
 */
portForwards: Array<PortForward>, };

/**
 * One address.
 */
export type HostnameInfo = { 
/**
 * Over TLS.
 */
ssl: boolean, 
/**
 * Reachable from the internet.
 */
public: boolean, 
/**
 * Name or IP address.
 */
hostname: string, 
/**
 * Port.
 */
port: number | null, 
/**
 * What kind of address it is.
 */
metadata: HostnameMetadata, };

/**
 * What kind of address it is.
 */
export type HostnameMetadata = { "kind": "ipv4", 
/**
 * The gateway; the bridge's is always called `lxcbr0`.
 */
gateway: string, } | { "kind": "ipv6", 
/**
 * The gateway.
 */
gateway: string, 
/**
 * Zone of a link-local address, else 0.
 */
scopeId: number, } | { "kind": "mdns", 
/**
 * The gateways it is published on.
 */
gateways: Array<string>, } | { "kind": "private-domain", 
/**
 * The gateways it is valid on.
 */
gateways: Array<string>, } | { "kind": "public-domain", 
/**
 * The gateway it points to.
 */
gateway: string, } | { "kind": "plugin", 
/**
 * That package.
 */
packageId: string, 
/**
 * Its action that removes the address.
 */
removeAction: string | null, 
/**
 * More of its actions.
 */
overflowActions: Array<string>, 
/**
 * What it keeps with the address.
 */
info: unknown, };

/**
 * What is being installed, and how far it is.
 */
export type InstallingInfo = { 
/**
 * The manifest of what comes.
 */
newManifest: unknown, 
/**
 * `{overall, phases: [{name, progress}]}`.
 */
progress: unknown, };

/**
 * What kind of endpoint an interface is.
 */
export type InterfaceType = "ui" | "p2p" | "api";

/**
 * One step of an explanation: how a service is; the next step says why it is so.
 */
export type Link = { "is": "failed", 
/**
 * The service.
 */
service: string, 
/**
 * The part, as in [`RestartRecord::what`].
 */
what: string, 
/**
 * Why.
 */
cause: Cause, } | { "is": "parked", 
/**
 * The service.
 */
service: string, } | { "is": "held", 
/**
 * The service.
 */
service: string, } | { "is": "stopped", 
/**
 * The service.
 */
service: string, } | { "is": "starting", 
/**
 * The service.
 */
service: string, } | { "is": "unwell", 
/**
 * The service.
 */
service: string, 
/**
 * The check's name for people.
 */
check: string, 
/**
 * What the check says.
 */
message: string | null, } | { "is": "missing", 
/**
 * The service.
 */
service: string, } | { "is": "needs-task", 
/**
 * The service.
 */
service: string, 
/**
 * The action to run.
 */
action: string, 
/**
 * Why, where the package says so.
 */
reason: string | null, } | { "is": "disk-full", 
/**
 * Bytes that are left.
 */
free: number, };

/**
 * What a service does after its backup.
 */
export type NextStop = "start" | "stop";

/**
 * One message to the people who look after this server.
 */
export type Notification = { 
/**
 * Who says it; null is the server itself.
 */
packageId: string | null, 
/**
 * When it was said.
 */
createdAt: string, 
/**
 * How urgent it is.
 */
level: NotificationLevel, 
/**
 * What it is about.
 */
title: string, 
/**
 * One paragraph.
 */
message: string, 
/**
 * More, as Markdown.
 */
data: string | null, 
/**
 * Whether somebody has seen it.
 */
seen: boolean, };

/**
 * How urgent a notification is.
 */
export type NotificationLevel = "success" | "info" | "warning" | "error";

/**
 * One service, from the moment its installation begins until it is gone.
 */
export type PackageEntry = { 
/**
 * Installing, installed, removing.
 */
stateInfo: StateInfo, 
/**
 * Wanted and observed state.
 */
statusInfo: StatusInfo, 
/**
 * The package's icon as a `data:` URL.
 */
icon: string, 
/**
 * Where it was installed from; `None` when from a file.
 */
registry: string | null, 
/**
 * Public key of the package's signer, lower-case hex.
 */
developerKey: string, 
/**
 * What it depends on now, by package id.
 */
currentDependencies: { [key in string]: CurrentDependency }, 
/**
 * Its actions, by action id.
 */
actions: { [key in string]: ActionMetadata }, 
/**
 * Its tasks, by replay id.
 */
tasks: { [key in string]: TaskEntry }, 
/**
 * Its hosts, by host id.
 */
hosts: { [key in string]: Host }, 
/**
 * The gateway it goes out by, where the user chose one.
 */
outboundGateway: string | null, 
/**
 * What it adds to other services.
 */
plugin: Plugins, 
/**
 * The newest restart records, by their number; at most 50.
 */
restarts: { [key in string]: RestartRecord }, 
/**
 * Set while the service failed too often and waits.
 */
parked: Parked | null, 
/**
 * Set while the service failed and what it needs is missing.
 */
held: Held | null, 
/**
 * Set while its JavaScript sleeps and everything it runs goes on without.
 */
asleep: Asleep | null, 
/**
 * Its living daemons, by the agent's name for the process; shown, never stored.
 */
daemons: { [key in string]: DaemonReport }, 
/**
 * What its owner allows it to use.
 */
limits: ChosenLimits, };

/**
 * A service that failed too often and now waits.
 */
export type Parked = { 
/**
 * Since when.
 */
since: string, 
/**
 * Why, in plain words, with the way out.
 */
reason: string, 
/**
 * Why, nearest first.
 */
because: Array<Link>, 
/**
 * When Coppice tries again by itself.
 */
nextProbe: string, };

/**
 * What a package adds to other services.
 */
export type Plugins = { 
/**
 * That it gives their interfaces more addresses.
 */
url: UrlPlugin | null, };

/**
 * A forward that a router needs for a public address.
 */
export type PortForward = { 
/**
 * Outside address.
 */
src: string, 
/**
 * Inside address.
 */
dst: string, 
/**
 * The gateway that must do it.
 */
gateway: string, 
/**
 * Number of ports.
 */
count: number, };

/**
 * `/public`: everything a signed-in client may see.
 */
export type Public = { 
/**
 * About this server.
 */
serverInfo: ServerInfo, 
/**
 * Every service, by instance id.
 */
packageData: { [key in string]: PackageEntry }, 
/**
 * What packages and the server tell people, by number; the newest have the largest.
 */
notifications: { [key in string]: Notification }, 
/**
 * Free-form state that belongs to the web UI.
 */
ui: unknown, };

/**
 * A range of ports; TCP and UDP.
 */
export type RangeBindInfo = { 
/**
 * False once the package no longer declares it.
 */
enabled: boolean, 
/**
 * First external port.
 */
externalStartPort: number, 
/**
 * How many.
 */
numberOfPorts: number, 
/**
 * Where it can be reached.
 */
addresses: Addresses, 
/**
 * Its interface, when it has one.
 */
interface: RangeInterface | null, };

/**
 * The interface of a port range.
 */
export type RangeInterface = { 
/**
 * Interface id.
 */
id: string, 
/**
 * Its name for people.
 */
name: string, 
/**
 * What it is for.
 */
description: string, 
/**
 * URL scheme.
 */
scheme: string | null, };

/**
 * One death or decision, with its evidence.
 */
export type RestartRecord = { 
/**
 * Grows by one with each record of a service.
 */
seq: number, 
/**
 * When it happened.
 */
at: string, 
/**
 * Which part of the service, for example `daemon hello` or `container`.
 */
what: string, 
/**
 * Why.
 */
cause: Cause, 
/**
 * What is behind the cause or behind what was done, nearest first; often nothing.
 */
because: Array<Link>, 
/**
 * What was done, in plain words.
 */
action: string, 
/**
 * Who did, or does, that.
 */
by: By, 
/**
 * How long it had been up, in milliseconds, where that is known.
 */
ranMs: number | null, 
/**
 * The last lines of the service's log, cut short; only the newest records keep theirs.
 */
logs: Array<string>, };

/**
 * What the service speaks by itself when it is secure by itself.
 */
export type Secure = { 
/**
 * TLS.
 */
ssl: boolean, };

/**
 * About this server.
 */
export type ServerInfo = { 
/**
 * Random id of this server.
 */
id: string, 
/**
 * Its name for people.
 */
name: string, 
/**
 * The first label of its `.local` name.
 */
hostname: string, 
/**
 * Coppice's own version.
 */
version: string, 
/**
 * The StartOS version packages see.
 */
packageVersionCompat: string, 
/**
 * SHA-256 of the root certificate, as lower-case hex pairs joined by colons.
 */
caFingerprint: string, 
/**
 * The port that HTTPS is served on.
 */
httpsPort: number, 
/**
 * The port that plain HTTP is served on.
 */
httpPort: number, 
/**
 * The address of the server on the services' bridge.
 */
bridgeAddress: string, 
/**
 * The language of the server, for example `en_US`.
 */
language: string, 
/**
 * What the server itself is doing.
 */
statusInfo: ServerStatus, 
/**
 * When the core that writes this came up; a client may show uptime from it.
 */
startedAt: string, 
/**
 * Things that need somebody's attention, one sentence each, for example a port in use.
 */
notices: Array<string>, };

/**
 * What the server itself is doing.
 */
export type ServerStatus = { 
/**
 * Going down for good.
 */
shuttingDown: boolean, 
/**
 * Going down to come back.
 */
restarting: boolean, };

/**
 * One named endpoint of a service.
 */
export type ServiceInterface = { 
/**
 * Interface id.
 */
id: string, 
/**
 * Its name for people.
 */
name: string, 
/**
 * What it is for.
 */
description: string, 
/**
 * Hide the address until asked: it holds a credential.
 */
masked: boolean, 
/**
 * How its URL is put together.
 */
addressInfo: AddressInfo, 
/**
 * What kind of endpoint it is.
 */
type: InterfaceType, };

/**
 * How urgently a task is asked.
 */
export type Severity = "critical" | "important" | "optional";

/**
 * Where a package stands in its life.
 */
export type StateInfo = { "state": "installing", 
/**
 * What comes, and how far it is.
 */
installingInfo: InstallingInfo, } | { "state": "installed", 
/**
 * The package's manifest.
 */
manifest: unknown, } | { "state": "updating", 
/**
 * The manifest of the version that is there.
 */
manifest: unknown, 
/**
 * What comes, and how far it is.
 */
installingInfo: InstallingInfo, } | { "state": "removing", 
/**
 * The package's manifest.
 */
manifest: unknown, };

/**
 * Everything the status line of a service is derived from.
 */
export type StatusInfo = { 
/**
 * Last report of each health check, by check id; empty while the service is stopped.
 */
health: { [key in string]: HealthReport }, 
/**
 * Why the service could not be brought up, until it is.
 */
error: ErrorInfo | null, 
/**
 * When the package's `main` had built its daemons; `None` while it is not running.
 */
started: string | null, 
/**
 * What the user or the package asked for.
 */
desired: DesiredStatus, };

/**
 * What is asked, of whom, how urgently.
 */
export type Task = { 
/**
 * The package whose action is asked for.
 */
packageId: string, 
/**
 * The action.
 */
actionId: string, 
/**
 * How urgently.
 */
severity: Severity, 
/**
 * Why, in the package's words.
 */
reason?: string, 
/**
 * When it is asked again.
 */
when?: TaskWhen, 
/**
 * What the action's input should be.
 */
input?: { "kind": "partial", 
/**
 * Inputs that satisfy the task; each is a part of the whole input.
 */
accept: Record<string, unknown>[], 
/**
 * What the form is filled with.
 */
set: Record<string, unknown>, }, };

/**
 * Conditions of a task.
 */
export type TaskCondition = "input-not-matches";

/**
 * A task and whether it is asked for right now.
 */
export type TaskEntry = { 
/**
 * What is asked.
 */
task: Task, 
/**
 * Whether it is asked now; a conditional task sleeps while its condition is met.
 */
active: boolean, };

/**
 * The condition that wakes and puts to sleep a task.
 */
export type TaskWhen = { 
/**
 * The condition.
 */
condition: TaskCondition, 
/**
 * Forget the task once it was met.
 */
once: boolean, };

/**
 * That a package gives other services' interfaces more addresses.
 */
export type UrlPlugin = { 
/**
 * The action of its that adds one; offered in every table of addresses.
 */
tableAction: string, };

/**
 * Whether an action is shown and may run.
 */
export type Visibility = "enabled" | "hidden" | { "disabled": string };

/**
 * What a held service waits for.
 */
export type WaitsFor = { "kind": "dependency", 
/**
 * The service.
 */
id: string, } | { "kind": "room" };
