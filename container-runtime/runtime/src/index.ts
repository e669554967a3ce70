/**
 * The Node process in a service's container.
 *
 * Usage: `node index.js [socket [package]]`; both have their place in the container as default.
 */
import module from 'node:module';
import { giveMemoryBack } from './memory.js';
import { COMPILE_CACHE, HOST_SOCKET, PACKAGE } from './paths.js';
import { runRuntime } from './runtime.js';
import { isObject } from './message.js';
import { hasWork, livingPipes } from './sleep.js';

declare const COPPICE_RUNTIME_VERSION: string;
/** From what a service's start asked for last to what is done once for it. */
const STARTED_AFTER_MS = 2000;

const saveCompiledCode = keepCompiledCode();
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
    starting = setTimeout(started, STARTED_AFTER_MS).unref();
  },
  onExit: () => process.exit(0),
});

function started(): void {
  saveCompiledCode();
  giveMemoryBack();
}

/**
 * Lets the next runtime start from compiled code: compiling a package is most of its start.
 *
 * Node 20 cannot, and a read-only disk must not matter. Returns what writes the code down, because
 * a killed process would not.
 */
function keepCompiledCode(): () => void {
  if (!('enableCompileCache' in module) || typeof module.enableCompileCache !== 'function') return () => undefined;
  try {
    module.enableCompileCache(process.env['NODE_COMPILE_CACHE'] ?? COMPILE_CACHE);
  } catch (error) {
    console.error('no compile cache:', error);
  }
  return () => {
    if ('flushCompileCache' in module && typeof module.flushCompileCache === 'function') module.flushCompileCache();
  };
}
