// Written by `make gen` from Rust types; change those instead.
import type { ChosenLimits, DaemonReport, Held, Link, NotificationLevel, PackageEntry, Parked, RestartRecord } from './document';

export type AddKey = { 
/**
 * The public half, an Ed25519 key in PEM.
 */
publicKey: string, 
/**
 * What uses it.
 */
name: string, 
/**
 * What it may do.
 */
scope: Scope, 
/**
 * Seconds until it ends; 90 days without.
 */
expiresIn?: Count | null, };

/**
 * One call that changed something, or was to.
 */
export type AuditRow = { 
/**
 * When it ended.
 */
at: string, 
/**
 * Who asked: an account, `root`, or `anonymous`.
 */
account: string, 
/**
 * In which role.
 */
role: string, 
/**
 * With what they showed who they are; null for root and strangers, and in rows from before this
 * was recorded.
 */
with: ShownBy | null, 
/**
 * From which address; null for root on the machine itself.
 */
from: string | null, 
/**
 * What was asked for: the method.
 */
method: string, 
/**
 * Of what: ids only, for example of a service, or of a service and its action.
 */
object: string | null, 
/**
 * The number of the kind of problem it ended with; null when it was done.
 */
error: number | null, };

/**
 * The package that is meant.
 */
export type ById = { 
/**
 * Its id.
 */
id: string, };

/**
 * What a look at the whole store found.
 */
export type Checked = { 
/**
 * Whether nothing is wrong.
 */
sound: boolean, 
/**
 * How many rows were read.
 */
rows: number, 
/**
 * Whether what is on the disk is what is in memory.
 */
matchesMemory: boolean, 
/**
 * What is not what was written.
 */
damaged: Array<DamagedRow>, };

export type ClearTask = { 
/**
 * Of which package.
 */
packageId: string, 
/**
 * Which task.
 */
replayId: string, 
/**
 * Also if it is required.
 */
force?: boolean | null, };

/**
 * How large the store was and is.
 */
export type Compacted = { 
/**
 * Bytes before.
 */
before: number, 
/**
 * Bytes now.
 */
after: number, };

export type ConfirmApp = { 
/**
 * What the app shows now.
 */
code: string, };

/**
 * A whole number, 0 or more.
 *
 * Stands for a field with `#[ts(as = …)]`; no value has this type.
 */
export type Count = number;

export type CpuMetrics = { percentageUsed: Reading, idle: Reading, userSpace: Reading, kernelSpace: Reading, wait: Reading, };

export type CreateNotification = { 
/**
 * In the name of which package; without it, of the server.
 */
package?: string | null, 
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
message: string, };

/**
 * One row of the store that is not what was written.
 */
export type DamagedRow = { 
/**
 * Its name.
 */
name: string, 
/**
 * What is wrong with it.
 */
damage: string, };

export type DeviceHardware = { 
/**
 * The processor's architecture.
 */
arch: string, 
/**
 * Memory in bytes.
 */
ram: Count, 
/**
 * Processors and displays; null: not looked for.
 */
devices: null, };

/**
 * What a registry would ask of this server, to offer what fits it.
 */
export type DeviceInfo = { os: DeviceOs, hardware: DeviceHardware, };

export type DeviceOs = { 
/**
 * The StartOS version that packages see.
 */
version: string, 
/**
 * The versions that a package may ask for, as a range.
 */
compat: string, 
/**
 * What images of the system are made for.
 */
platform: string, 
/**
 * The language, for example `en_US`.
 */
language: string, };

/**
 * The file system that the data folder is on.
 */
export type DiskMetrics = { percentageUsed: Reading, used: Reading, available: Reading, capacity: Reading, };

export type DocumentDump = { 
/**
 * The revision, as `X-Patch-Sequence` counts them.
 */
id: number, 
/**
 * What was there; null when nothing was.
 */
value: unknown, 
/**
 * Where it stands in the history.
 */
position: DocumentPosition, 
/**
 * JSON Patch that leads from there to what is on the disk; left out when that is the same.
 */
undo?: unknown[], };

/**
 * What a client missed.
 */
export type DocumentMissed = { 
/**
 * The revision, as `X-Patch-Sequence` counts them.
 */
id: number, 
/**
 * Where it leads to.
 */
position: DocumentPosition, 
/**
 * JSON Patch for what is on the disk.
 */
base: unknown[], 
/**
 * JSON Patch for what is only shown.
 */
overlay: unknown[], };

/**
 * Where a client stands.
 */
export type DocumentPosition = { 
/**
 * The process and lineage.
 */
epoch: Count, 
/**
 * Durable revisions so far.
 */
durable: Count, 
/**
 * Volatile revisions so far.
 */
volatile: Count, };

/**
 * The value at a place, at one moment.
 */
export type Dump = { 
/**
 * The revision, as `X-Patch-Sequence` counts them.
 */
id: number, 
/**
 * What was there; null when nothing was.
 */
value: unknown, 
/**
 * Where it stands in the history.
 */
position: DocumentPosition, 
/**
 * JSON Patch that leads from there to what is on the disk; left out when that is the same.
 */
undo?: unknown[], };

export type DumpAt = { 
/**
 * At or below /public, which is what is meant when it is left out.
 */
pointer?: Place | null, };

export type Echo = { 
/**
 * What comes back.
 */
message: string, };

export type GeneralMetrics = { 
/**
 * Of the processor, where it is known; otherwise the hottest sensor.
 */
temperature: Reading | null, };

export type GetActionInput = { 
/**
 * Of which package.
 */
packageId: string, 
/**
 * Of which action.
 */
actionId: string, 
/**
 * What the form is filled with.
 */
prefill?: Record<string, unknown> | null, };

/**
 * The ticket of a stream: opened at `/ws/rpc/<guid>`, once, within 30 seconds.
 */
export type Guid = string;

export type InstallFile = { 
/**
 * The file, with its whole path.
 */
path: string, };

export type Installed = { 
/**
 * The id of the package.
 */
id: string, 
/**
 * Its version.
 */
version: string, 
/**
 * The version that was there before, if one was.
 */
from: string | null, };

/**
 * Any JSON.
 */
export type Json = unknown;

/**
 * An object with any members.
 */
export type JsonObject = Record<string, unknown>;

/**
 * The mail settings that are kept, without the password.
 */
export type KeptMailSettings = { 
/**
 * The name of the mail server.
 */
host: string, 
/**
 * Its port.
 */
port: number, 
/**
 * The sender of mails.
 */
from: string, 
/**
 * The account.
 */
username: string, 
/**
 * Whether there is a password.
 */
hasPassword: boolean, 
/**
 * How the connection is secured.
 */
security: SmtpSecurity, };

export type KillSessions = { 
/**
 * Which.
 */
ids: Array<string>, };

export type ListNotifications = { 
/**
 * Only those with smaller numbers.
 */
before?: Count | null, 
/**
 * How many, at most; 40 when it is left out.
 */
limit?: Count | null, };

/**
 * A notification as StartOS's clients read it.
 */
export type ListedNotification = { 
/**
 * Its number.
 */
id: Count, 
/**
 * Who says it; null is the server itself.
 */
packageId: string | null, 
/**
 * When it was said.
 */
createdAt: Timestamp, 
/**
 * What `data` is: 0 is nothing, 2 is Markdown.
 */
code: number, 
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
 * A package in the list that StartOS's clients read.
 */
export type ListedPackage = { 
/**
 * Where it stands in its life.
 */
status: "installed" | "installing" | "updating" | "restoring" | "removing" | "error", 
/**
 * Its id.
 */
id: string, 
/**
 * The version that counts now.
 */
version: string, };

/**
 * Processes that run or wait, on average over one, five and fifteen minutes.
 */
export type LoadMetrics = { one: Reading, five: Reading, fifteen: Reading, };

/**
 * One line of a log.
 */
export type LogEntry = { 
/**
 * When it was written.
 */
timestamp: string, 
/**
 * The line.
 */
message: string, 
/**
 * The boot of the machine, or life of the container, that it belongs to.
 */
bootId: string, 
/**
 * `agent`, `runtime`, or the id of a process; `core`; `kernel`.
 */
source: string, };

/**
 * A stream of lines.
 */
export type LogFollow = { 
/**
 * Where it begins.
 */
startCursor: string, 
/**
 * Its ticket.
 */
guid: Guid, };

/**
 * Which lines are meant.
 */
export type LogLines = { 
/**
 * How many lines, at most; 50 when it is left out.
 */
limit?: Count | null, 
/**
 * From where on, as an earlier answer gave it.
 */
cursor?: string | null, 
/**
 * Whether those before the cursor are meant; they come oldest first, too.
 */
before?: boolean | null, 
/**
 * Only those of one boot of the machine, or life of the container: 0 is the newest, -1 the one before, or its id.
 */
boot?: WhichBoot | null, };

export type LogOf = { 
/**
 * Only what touched this place; everything when it is left out.
 */
pointer?: Place | null, 
/**
 * Only from then on.
 */
from?: Timestamp | null, 
/**
 * Only before.
 */
to?: Timestamp | null, 
/**
 * How many, at most; 50 when it is left out.
 */
limit?: Count | null, };

/**
 * Lines of a log, oldest first.
 */
export type LogPage = { 
/**
 * The lines.
 */
entries: Array<LogEntry>, 
/**
 * Where the first of them begins.
 */
startCursor: string | null, 
/**
 * Where the last of them ends.
 */
endCursor: string | null, };

export type LoggedIn = { 
/**
 * The id of the session; its token is in the cookie only.
 */
session: string | null, };

/**
 * One revision of the document, private places included.
 */
export type LoggedRevision = { revision: number, at: string, actor: string, cause: string | null, request: string | null, ops: unknown[] | null };

export type Login = { 
/**
 * The password.
 */
password: string, 
/**
 * With two-step login on: the code that the app shows, or a recovery code.
 */
code?: string | null, 
/**
 * Whether the session ends with the browser.
 */
ephemeral?: boolean | null, };

export type LogsOf = { 
/**
 * Of which package.
 */
id: string, 
/**
 * How many lines, at most; 50 when it is left out.
 */
limit?: Count | null, 
/**
 * From where on, as an earlier answer gave it.
 */
cursor?: string | null, 
/**
 * Whether those before the cursor are meant; they come oldest first, too.
 */
before?: boolean | null, 
/**
 * Only those of one boot of the machine, or life of the container: 0 is the newest, -1 the one before, or its id.
 */
boot?: WhichBoot | null, };

export type MadeToken = { 
/**
 * The token. It is kept nowhere and never told again.
 */
token: string, 
/**
 * Its id.
 */
id: string, 
/**
 * When it ends.
 */
expires: string, };

/**
 * How mails are sent.
 */
export type MailSettings = { 
/**
 * The name of the mail server.
 */
host: string, 
/**
 * Its port.
 */
port: Port, 
/**
 * The sender of mails.
 */
from: string, 
/**
 * The account.
 */
username: string, 
/**
 * Its password; without one, nobody signs in.
 */
password?: string | null, 
/**
 * How the connection is secured.
 */
security: SmtpSecurity, };

export type MakeToken = { 
/**
 * What uses it.
 */
name: string, 
/**
 * What it may do.
 */
scope: Scope, 
/**
 * Seconds until it ends; 90 days without.
 */
expiresIn?: Count | null, };

export type MemoryMetrics = { percentageUsed: Reading, total: Reading, available: Reading, used: Reading, zramTotal: Reading, zramAvailable: Reading, zramUsed: Reading, };

/**
 * How busy the machine is.
 */
export type Metrics = { general: GeneralMetrics, memory: MemoryMetrics, cpu: CpuMetrics, disk: DiskMetrics, load: LoadMetrics, };

/**
 * How busy the machine is now, and from now on.
 */
export type MetricsFollow = { 
/**
 * The ticket of the stream.
 */
guid: Guid, 
/**
 * What there is to show until its first frame comes.
 */
metrics: Metrics, };

/**
 * No parameters. Like everywhere, those that a method does not know are not looked at.
 */
export type Nothing = Record<symbol, never>;

export type NotificationsBefore = { 
/**
 * The number that is meant.
 */
before: Count, };

/**
 * What an authenticator app needs to know; it is never told again.
 */
export type OfferedApp = { 
/**
 * For typing, in base32.
 */
secret: string, 
/**
 * For a QR code.
 */
uri: string, };

/**
 * What a service may use.
 */
export type PackageLimits = { 
/**
 * What its owner chose.
 */
chosen: ChosenLimits, 
/**
 * What that comes to with Coppice's own limits.
 */
effective: ChosenLimits, };

/**
 * What StartOS tells of a container, under its names.
 */
export type PackageStats = { 
/**
 * Its container.
 */
container_id: string, 
/**
 * Memory in MiB, without page cache that was not used lately.
 */
memory_usage: number | null, 
/**
 * The most that it may use, in MiB.
 */
memory_limit: number | null, };

/**
 * One package.
 */
export type PackageStatus = { 
/**
 * How it is.
 */
summary: ServiceSummary, 
/**
 * What the document shows of it, but for its icon.
 */
entry: PackageEntry, };

export type PasswordAgain = { 
/**
 * The password; root needs none.
 */
password?: string | null, };

/**
 * How the server is; whoever is answered knows that it is up.
 */
export type Phase = "running";

/**
 * A place in the document: a JSON pointer.
 *
 * Stands for a field with `#[ts(as = …)]`; no value has this type.
 */
export type Place = string;

/**
 * The number of a port.
 *
 * Stands for a field with `#[ts(as = …)]`; no value has this type.
 */
export type Port = number;

export type PutUi = { 
/**
 * Below /public/ui.
 */
pointer: Place, 
/**
 * What shall be there; what holds it must be there already.
 */
value: unknown, };

/**
 * A number as people read it.
 */
export type Reading = { 
/**
 * The number.
 */
value: string, 
/**
 * Of what: `%`, `MiB`, `GB`, `°C`, or nothing.
 */
unit: string, };

/**
 * One receipt.
 */
export type ReceiptRow = { 
/**
 * When.
 */
at: string, } & ({ "of": "start", 
/**
 * Coppice's version.
 */
version: string, 
/**
 * What was left over. Empty: nothing was.
 */
found: Array<{ kind: string, what: string, failure: string | null }>, } | { "of": "firewall", 
/**
 * Rules that should not have been there.
 */
found: Array<{ kind: string, what: string, failure: string | null }>, } | { "of": "upgrade", 
/**
 * Which try.
 */
attempt: string, 
/**
 * The program.
 */
program: string, 
/**
 * The version that says so, which is the one that runs since.
 */
version: string, 
/**
 * Why everything is as before; null when the program runs.
 */
problem: string | null, });

/**
 * For paper: each opens once, when the app is lost. They are never told again.
 */
export type RecoveryCodes = { 
/**
 * All of them.
 */
recoveryCodes: Array<string>, };

export type ResetPassword = { 
/**
 * The one that holds now.
 */
oldPassword: string, 
/**
 * The one that shall.
 */
newPassword: string, };

export type RevokeThese = { 
/**
 * Their ids.
 */
ids: Array<string>, };

export type RunAction = { 
/**
 * Of which package.
 */
packageId: string, 
/**
 * Which action.
 */
actionId: string, 
/**
 * The one that its form came with.
 */
eventId?: string | null, 
/**
 * What its form was filled with.
 */
input?: unknown, };

/**
 * How much of what its account may do a token or a key may do. Each holds the ones before it.
 */
export type Scope = "read" | "services" | "admin";

export type ServerTime = { 
/**
 * The server's time.
 */
now: string, 
/**
 * How long the machine has been up, in seconds.
 */
uptime: number, };

/**
 * How a service is, in one word with its reason.
 */
export type ServiceSummary = { 
/**
 * Its id.
 */
id: string, 
/**
 * Its name for people.
 */
title: string, 
/**
 * Its version.
 */
version: string, 
/**
 * One of `stopped`, `starting`, `running`, `stopping`, `restarting`, `unhealthy`, `error`,
 * `parked`, `held`, `installing`, `updating`, `removing`, `needs-task`, `backing-up`.
 */
status: string, 
/**
 * Why, when there is something to say.
 */
detail: string | null, 
/**
 * Since when it runs.
 */
started: string | null, 
/**
 * Its own HTTPS address, when it has an interface for a browser.
 */
address: string | null, };

/**
 * What a service uses, its container and all that runs in it. `None`: it has no container, or nothing on this machine
 * counts it.
 */
export type ServiceUsage = { 
/**
 * Its container, while it has one.
 */
container: string | null, 
/**
 * Processor time since the container was made, in microseconds.
 */
cpuUs: number | null, 
/**
 * Memory in bytes, without page cache that was not used lately.
 */
memoryBytes: number | null, 
/**
 * The most memory that it may use, in bytes.
 */
memoryLimitBytes: number | null, 
/**
 * Processes and threads.
 */
pids: number | null, 
/**
 * How many of the restart records that are kept tell of a part that ended by itself or failed.
 */
restarts: number, };

/**
 * Every session.
 */
export type Sessions = { 
/**
 * The id of the caller's own.
 */
current: string | null, 
/**
 * All of them, by their ids.
 */
sessions: { [key in string]: ShownSession }, };

export type SetLimits = { 
/**
 * Of which package.
 */
id: string, 
/**
 * Forget what was chosen before; otherwise what is not given stays as it is.
 */
reset?: boolean | null, 
/**
 * Memory in bytes, page cache included.
 */
memoryBytes?: Count | null, 
/**
 * Processes and threads.
 */
pids?: Count | null, 
/**
 * Share of the processor when it is scarce; 100 is usual.
 */
cpuWeight?: Count | null, };

export type SetPassword = { 
/**
 * The password.
 */
password: string, 
/**
 * Only if none was ever set.
 */
onlyFirst?: boolean | null, };

/**
 * With what somebody showed who they are.
 */
export type ShownBy = { 
/**
 * `session`, `token` or `key`.
 */
kind: string, 
/**
 * The id it is listed under: a hash, which opens nothing.
 */
id: string, 
/**
 * What it may do; null: all that its account may.
 */
scope: string | null, };

/**
 * A token or a key.
 */
export type ShownGrant = { 
/**
 * The hash of the token or of the public key.
 */
id: string, 
/**
 * What uses it.
 */
name: string, 
/**
 * Whose it is.
 */
account: string, 
/**
 * What the account may do.
 */
role: string, 
/**
 * How much of that it may do.
 */
scope: Scope, 
/**
 * When it was made.
 */
created: string, 
/**
 * When it ends.
 */
expires: string, 
/**
 * When it was last used since Coppice started.
 */
lastUsed: string | null, };

/**
 * One session.
 */
export type ShownSession = { 
/**
 * Whose it is.
 */
account: string, 
/**
 * What the account may do.
 */
role: string, 
/**
 * When it began.
 */
loggedIn: string, 
/**
 * When it was last used.
 */
lastActive: string, 
/**
 * What the browser calls itself.
 */
userAgent: string | null, };

/**
 * What an upload needs.
 */
export type SideloadTickets = { 
/**
 * Where the package is sent: POST to `/rest/rpc/<guid>`.
 */
upload: Guid, 
/**
 * Where it is told how it goes. This one waits for ten minutes.
 */
progress: Guid, };

/**
 * How the connection to a mail server is secured.
 */
export type SmtpSecurity = "starttls" | "tls";

export type StartPackage = { 
/**
 * Which.
 */
id: string, 
/**
 * Also while it has a task that comes first.
 */
force?: boolean | null, };

export type StopServer = { 
/**
 * Take the services down first.
 */
services?: boolean | null, };

export type SubscribeTo = { 
/**
 * At or below /public, which is what is meant when it is left out.
 */
pointer?: Place | null, 
/**
 * Where the client stood, when it comes back.
 */
from?: DocumentPosition | null, };

/**
 * What a subscriber begins with.
 */
export type Subscribed = { 
/**
 * What is there: when no position was given, or one that is too old.
 */
dump?: DocumentDump, 
/**
 * What was missed since.
 */
resume?: DocumentMissed, 
/**
 * The ticket of what comes after.
 */
guid: string, };

export type TestMail = { 
/**
 * Who gets the mail.
 */
to: string, 
/**
 * The name of the mail server.
 */
host: string, 
/**
 * Its port.
 */
port: Port, 
/**
 * The sender of mails.
 */
from: string, 
/**
 * The account.
 */
username: string, 
/**
 * Its password; without one, nobody signs in.
 */
password?: string | null, 
/**
 * How the connection is secured.
 */
security: SmtpSecurity, };

export type TheseNotifications = { 
/**
 * Their numbers; one that is gone is not missed.
 */
ids: Array<Count>, };

/**
 * A time, as in RFC 3339.
 *
 * Stands for a field with `#[ts(as = …)]`; no value has this type.
 */
export type Timestamp = string;

/**
 * One actor of the live tree.
 */
export type TreeNode = { 
/**
 * Its name.
 */
id: string, 
/**
 * Whether it supervises others.
 */
supervisor: boolean, 
/**
 * What it is doing, in a word or two.
 */
state: string, 
/**
 * How long it has been up, in milliseconds; null while it is not.
 */
uptimeMs: number | null, 
/**
 * How often it was restarted.
 */
restarts: number, 
/**
 * What is below it.
 */
children: Array<TreeNode>, };

export type TwoStepLogin = { 
/**
 * Whether it is on.
 */
enabled: boolean, 
/**
 * Recovery codes that were not used yet.
 */
recoveryCodesLeft: Count, };

export type UninstallPackage = { 
/**
 * Which.
 */
id: string, 
/**
 * Keep its volumes.
 */
soft?: boolean | null, 
/**
 * Also if its own code objects.
 */
force?: boolean | null, };

export type UpgradeBegun = { 
/**
 * What its receipt will name.
 */
attempt: string, };

export type UpgradeServer = { 
/**
 * The program, with its whole path.
 */
program: string, };

/**
 * A boot of the machine, or a life of a container.
 */
export type WhichBoot = Whole | string;

/**
 * A whole number.
 *
 * Stands for a field with `#[ts(as = …)]`; no value has this type.
 */
export type Whole = number;

/**
 * Why a service is as it is.
 */
export type Why = { 
/**
 * How it is.
 */
summary: ServiceSummary, 
/**
 * Why it does not run well, in plain words; `None` when it does.
 */
words: string | null, 
/**
 * The same, step by step, nearest first.
 */
because: Array<Link>, 
/**
 * Set while it failed too often and waits.
 */
parked: Parked | null, 
/**
 * Set while it failed and what it needs is missing.
 */
held: Held | null, 
/**
 * Its restart records, oldest first.
 */
restarts: Array<RestartRecord>, };

/** What every method takes and gives. */
export interface Methods {
  /** Gives back `message`. */
  'echo': { params: Echo; result: string };
  /** Gives `running` once the server answers. */
  'state': { params: Nothing; result: Phase };
  /** Gives the version of this server. */
  'git-info': { params: Nothing; result: string };
  /** Gives this list: the OpenRPC document of the server. */
  'rpc.discover': { params: Nothing; result: JsonObject };
  /** Gives the server's time and how long it has been up, in seconds. */
  'server.time': { params: Nothing; result: ServerTime };
  /** Gives how busy the machine is: processor, memory, disk, temperature, load. */
  'server.metrics': { params: Nothing; result: Metrics };
  /** Gives the same, and a stream of it. */
  'server.metrics.follow': { params: Nothing; result: MetricsFollow };
  /** Gives the live tree of actors. */
  'server.tree': { params: Nothing; result: TreeNode };
  /** Ends Coppice; with `services`, takes the services down first. */
  'server.stop': { params: StopServer; result: null };
  /** Changes to the program at `program`; gives the `attempt` that its receipt will name. */
  'server.upgrade': { params: UpgradeServer; result: UpgradeBegun };
  /** Gives what the server found, removed and changed about itself, oldest first. */
  'server.receipts': { params: Nothing; result: Array<ReceiptRow> };
  /** Gives what registries ask of a server: versions, architecture, memory. */
  'server.device-info': { params: Nothing; result: DeviceInfo };
  /** Gives log lines of Coppice itself. */
  'server.logs': { params: LogLines; result: LogPage };
  /** Gives a stream of log lines of Coppice itself. */
  'server.logs.follow': { params: LogLines; result: LogFollow };
  /** Gives log lines of the kernel. */
  'server.kernel-logs': { params: LogLines; result: LogPage };
  /** Gives a stream of log lines of the kernel. */
  'server.kernel-logs.follow': { params: LogLines; result: LogFollow };
  /** Gives the mail settings, without the password, or null. */
  'server.smtp': { params: Nothing; result: KeptMailSettings | null };
  /** Keeps mail settings, and tells the packages that asked to hear of it. */
  'server.set-smtp': { params: MailSettings; result: null };
  /** Forgets the mail settings. */
  'server.clear-smtp': { params: Nothing; result: null };
  /** Sends a mail to `to` with these settings, which need not be the ones that are kept. */
  'server.test-smtp': { params: TestMail; result: null };
  /** Begins a session for `password`; with two-step login on, `code` is needed, too. */
  'auth.login': { params: Login; result: LoggedIn };
  /** Ends the caller's session. */
  'auth.logout': { params: Nothing; result: null };
  /** Gives all sessions and which is the caller's. */
  'auth.session.list': { params: Nothing; result: Sessions };
  /** Ends the sessions in `ids`. */
  'auth.session.kill': { params: KillSessions; result: null };
  /** Changes the password and ends all sessions. */
  'auth.reset-password': { params: ResetPassword; result: null };
  /** Sets the password, without the old one; with `onlyFirst`, only if none was ever set. */
  'auth.set-password': { params: SetPassword; result: null };
  /** Makes a bearer token for a program; it is told this once. */
  'auth.token.create': { params: MakeToken; result: MadeToken };
  /** Gives all tokens, without what opens anything. */
  'auth.token.list': { params: Nothing; result: Array<ShownGrant> };
  /** Revokes the tokens in `ids`, and ends what was opened with them. */
  'auth.token.revoke': { params: RevokeThese; result: null };
  /** Enrols a public key that requests may be signed with. */
  'auth.key.add': { params: AddKey; result: ShownGrant };
  /** Gives all enrolled keys. */
  'auth.key.list': { params: Nothing; result: Array<ShownGrant> };
  /** Removes the keys in `ids`, and ends what was opened with them. */
  'auth.key.remove': { params: RevokeThese; result: null };
  /** Gives whether two-step login is on, and how many recovery codes are left. */
  'auth.totp.status': { params: Nothing; result: TwoStepLogin };
  /** Offers a secret to an authenticator app; `password` is asked for again. */
  'auth.totp.enrol': { params: PasswordAgain; result: OfferedApp };
  /** Switches two-step login on, with a `code` of the app; gives the recovery codes. */
  'auth.totp.confirm': { params: ConfirmApp; result: RecoveryCodes };
  /** Switches two-step login off; `password` is asked for again. */
  'auth.totp.disable': { params: PasswordAgain; result: null };
  /** Gives who asked for what, oldest first. */
  'auth.audit': { params: Nothing; result: Array<AuditRow> };
  /** Gives the value at `pointer` below /public. */
  'db.dump': { params: DumpAt; result: Dump };
  /** Gives who changed what, when and why, newest first: the last `limit` revisions that touched `pointer`, between `from` and `to`. */
  'db.log': { params: LogOf; result: Array<LoggedRevision> };
  /** Reads the whole store and compares it with its checksums. */
  'db.check': { params: Nothing; result: Checked };
  /** Gives back the room that the store no longer needs. */
  'db.compact': { params: Nothing; result: Compacted };
  /** Gives the whole document, private values included. */
  'db.export': { params: Nothing; result: Json };
  /** Gives the value at `pointer` and a stream of what changes; or, with the position `from` of an earlier stream, only what was missed. */
  'db.subscribe': { params: SubscribeTo; result: Subscribed };
  /** Keeps `value` for web interfaces, at `pointer` below /public/ui. */
  'db.put.ui': { params: PutUi; result: null };
  /** Gives every package with where it stands in its life, as StartOS does. */
  'package.list': { params: Nothing; result: Array<ListedPackage> };
  /** Gives every service with how it is: in one word, with its reason and its address. */
  'package.overview': { params: Nothing; result: Array<ServiceSummary> };
  /** Gives one package with everything shown of it. */
  'package.status': { params: ById; result: PackageStatus };
  /** Gives the version of a package, or null. */
  'package.installed-version': { params: ById; result: string | null };
  /** Installs the .s9pk at `path` on this machine, or updates what is there to it. */
  'package.install-file': { params: InstallFile; result: Installed };
  /** Gives tickets for sending a .s9pk and for watching it. */
  'package.sideload': { params: Nothing; result: SideloadTickets };
  /** Calls the update of a package off; the version before is put back. */
  'package.cancel-install': { params: ById; result: null };
  /** Makes the container of a service anew. */
  'package.rebuild': { params: ById; result: null };
  /** Removes a package; `soft` keeps its volumes. */
  'package.uninstall': { params: UninstallPackage; result: null };
  /** Wants a service running. */
  'package.start': { params: StartPackage; result: null };
  /** Wants a service stopped. */
  'package.stop': { params: ById; result: null };
  /** Wants a running service stopped and started. */
  'package.restart': { params: ById; result: null };
  /** Gives why a service is as it is, and its restart records. */
  'package.why': { params: ById; result: Why };
  /** Gives the living daemons of a service and what they use. */
  'package.daemons': { params: ById; result: { [key in string]: DaemonReport } };
  /** Gives the container of each service that has one, and its memory in MiB. */
  'package.stats': { params: Nothing; result: { [key in string]: PackageStats | null } };
  /** Gives what each service uses as a whole, and how many of its restart records tell of failures. */
  'package.usage': { params: Nothing; result: { [key in string]: ServiceUsage } };
  /** Gives what a service may use. */
  'package.limits': { params: ById; result: PackageLimits };
  /** Sets what a service may use. */
  'package.set-limits': { params: SetLimits; result: PackageLimits };
  /** Gives the form of an action. */
  'package.action.get-input': { params: GetActionInput; result: Json };
  /** Runs an action. */
  'package.action.run': { params: RunAction; result: Json };
  /** Dismisses a task. */
  'package.action.clear-task': { params: ClearTask; result: null };
  /** Gives log lines of a service. */
  'package.logs': { params: LogsOf; result: LogPage };
  /** Gives a stream of log lines of a service. */
  'package.logs.follow': { params: LogsOf; result: LogFollow };
  /** Gives what packages and the server told people, newest first: `limit` of them, those before number `before`. */
  'notification.list': { params: ListNotifications; result: Array<ListedNotification> };
  /** Takes notifications away. */
  'notification.remove': { params: TheseNotifications; result: null };
  /** Takes away those with smaller numbers than `before`. */
  'notification.remove-before': { params: NotificationsBefore; result: null };
  /** Notes that notifications were seen. */
  'notification.mark-seen': { params: TheseNotifications; result: null };
  /** Notes that the one with the number `before` and all with smaller ones were seen. */
  'notification.mark-seen-before': { params: NotificationsBefore; result: null };
  /** Notes that notifications were not seen. */
  'notification.mark-unseen': { params: TheseNotifications; result: null };
  /** Tells the people who look after this server something. */
  'notification.create': { params: CreateNotification; result: null };
}
