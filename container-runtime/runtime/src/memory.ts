/** Memory that only the start took. */
import v8 from 'node:v8';
import vm from 'node:vm';

/**
 * Gives it back, at the price of a collection.
 *
 * While a package is loaded, V8 doubles the room for young objects until it has 32 MB, and keeps it: a service
 * that idles makes no garbage that would tell V8 to look. Only its collection for a process that is out of
 * memory shrinks that room (`gc()` without that flavour was tried, and `--max-semi-space-size`, which gives
 * less and makes every later collection dearer). Node 20 knows no flavours, and keeps the room.
 */
export function giveMemoryBack(): void {
  // As a flag of the process, a package would find a global `gc`.
  v8.setFlagsFromString('--expose-gc');
  const collect: unknown = vm.runInNewContext('gc');
  v8.setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
