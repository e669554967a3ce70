/** What a service's daemons use, in words. */
import type { PackageEntry } from '../api/schema';
import { bytes } from './progress';

export interface DaemonRow {
  readonly id: string;
  readonly name: string;
  /** Who starts it again. */
  readonly keeper: string;
  readonly memory: string;
  readonly processor: string;
  readonly read: string;
  readonly written: string;
}

/** What nothing on the server counts: shown as unknown, not as none. */
const UNKNOWN = '–';

export function daemonRows(entry: PackageEntry): readonly DaemonRow[] {
  return Object.entries(entry.daemons ?? {})
    .map(([id, { name, owner, usage }]) => ({
      id,
      name,
      keeper: owner === 'host' ? 'Coppice' : 'The package',
      memory: counted(usage.memoryBytes, bytes),
      processor: counted(usage.cpuUs, seconds),
      read: counted(usage.ioReadBytes, bytes),
      written: counted(usage.ioWriteBytes, bytes),
    }))
    .sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
}

function counted(count: number | null, words: (count: number) => string): string {
  return count === null ? UNKNOWN : words(count);
}

function seconds(micros: number): string {
  const whole = micros / 1e6;
  return whole < 60 ? `${whole.toFixed(1)} s` : `${Math.floor(whole / 60)} min ${Math.floor(whole % 60)} s`;
}
