/**
 * The Node process in a service's container.
 *
 * Usage: `node index.js [socket [package]]`; both have their place in the container as default.
 */
import module from 'node:module';
import { COMPILE_CACHE, HOST_SOCKET, PACKAGE } from './paths.js';
import { runRuntime } from './runtime.js';
import { isObject } from './message.js';

declare const COPPICE_RUNTIME_VERSION: string;

keepCompiledCode();

// Packages leave rejections unhandled; Node's default would end the service for one of them.
process.on('unhandledRejection', (reason: unknown) => {
  if (isObject(reason) && reason['muteUnhandled']) return;
  console.error('the package left a rejection unhandled:', reason);
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => console.error(`${signal} is ignored: the host stops a service by asking`));
}

const { COPPICE_GENERATION: generation, COPPICE_BOOT: boot } = process.env;
// Ours, not the package's: whatever it starts inherits the environment.
delete process.env['COPPICE_GENERATION'];
delete process.env['COPPICE_BOOT'];

const [, , socket = HOST_SOCKET, packagePath = PACKAGE] = process.argv;
runRuntime({
  socket,
  packagePath,
  identity: {
    build: COPPICE_RUNTIME_VERSION,
    boot: boot ?? '',
    generation: generation === undefined ? null : Number(generation),
  },
  onExit: () => process.exit(0),
});

/** Lets a restarted runtime start from compiled code. Node 20 cannot; a read-only disk must not matter. */
function keepCompiledCode(): void {
  if (!('enableCompileCache' in module) || typeof module.enableCompileCache !== 'function') return;
  try {
    module.enableCompileCache(process.env['NODE_COMPILE_CACHE'] ?? COMPILE_CACHE);
  } catch (error) {
    console.error('no compile cache:', error);
  }
}
