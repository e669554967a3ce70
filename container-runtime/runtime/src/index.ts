/**
 * The Node process in a service's container.
 *
 * Usage: `node index.js [socket [package]]`; both have their place in the container as default.
 */
import module from 'node:module';
import { HOST_SOCKET, PACKAGE } from './paths.js';
import { runRuntime } from './runtime.js';
import { isObject } from './message.js';
import { hasWork, livingPipes } from './sleep.js';

declare const COPPICE_RUNTIME_VERSION: string;
/** From what a service's start asked for last to what is done once for it. */
const STARTED_AFTER_MS = 2000;

let starting: NodeJS.Timeout | undefined;
// Packages carry what newer Nodes call deprecated; nobody who reads a service's log can act on it.
process.noDeprecation = true;

// Packages leave rejections unhandled; Node's default would end the service for one of them.
process.on('unhandledRejection', (reason: unknown) => {
  if (isObject(reason) && reason['muteUnhandled']) return;
  console.error('the package left a rejection unhandled:', reason);
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => console.error(`${signal} is ignored: the host stops a service by asking`));
}

const { COPPICE_GENERATION: generation, COPPICE_BOOT: boot, COPPICE_SLEEP_AFTER_MS: sleepAfter } = process.env;
// Ours, not the package's: whatever it starts inherits the environment.
delete process.env['NODE_COMPILE_CACHE'];
delete process.env['COPPICE_GENERATION'];
delete process.env['COPPICE_BOOT'];
delete process.env['COPPICE_SLEEP_AFTER_MS'];
delete process.env['GLIBC_TUNABLES'];

// Made by their first use, which would look like the package's work if it came later.
void [process.stdout, process.stderr];
const streams = livingPipes();

const [, , socket = HOST_SOCKET, packagePath = PACKAGE] = process.argv;
runRuntime({
  socket,
  packagePath,
  identity: {
    build: COPPICE_RUNTIME_VERSION,
    boot: boot ?? '',
    generation: generation === undefined ? null : Number(generation),
  },
  sleepAfterMs: sleepAfter === undefined ? null : Number(sleepAfter),
  // The connection is one more.
  hasWork: () => hasWork(streams + 1),
  onUp: () => {
    clearTimeout(starting);
    // Later: a service's first start should not wait for a disk.
    starting = setTimeout(() => void started(), STARTED_AFTER_MS).unref();
  },
  onExit: () => process.exit(0),
});

async function started(): Promise<void> {
  saveCompiledCode();
  // Loaded now, as are Node's own modules for it: a start should not wait for them.
  const { giveMemoryBack } = await import('./memory.js');
  giveMemoryBack();
}

/**
 * Lets the next runtime start from compiled code, where the host named a folder for it: compiling a package is most of
 * its start. Node would write it down when it ends, but what is killed does not end. Node 20 cannot.
 */
function saveCompiledCode(): void {
  if ('flushCompileCache' in module && typeof module.flushCompileCache === 'function') module.flushCompileCache();
}
