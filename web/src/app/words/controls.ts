/** Which of Start, Stop and Restart make sense now, and if not, why not. */
import type { PackageEntry } from '../api/schema';
import { blockingTasks } from './status';

export type Command = 'start' | 'stop' | 'restart';

export interface Control {
  readonly command: Command;
  readonly label: string;
  /** Why the button is off; null when it may be pressed. */
  readonly blocked: string | null;
}

const START: Control = { command: 'start', label: 'Start', blocked: null };
const STOP: Control = { command: 'stop', label: 'Stop', blocked: null };
const RESTART: Control = { command: 'restart', label: 'Restart', blocked: null };

/** In the order they are shown. Empty while the service is being installed, removed or backed up. */
export function controls(entry: PackageEntry): readonly Control[] {
  if (entry.stateInfo.state !== 'installed') return [];
  const { desired } = entry.statusInfo;
  if (desired.main === 'backing-up') return [];
  if (desired.main === 'stopped') {
    const blocked = blockingTasks(entry) > 0 ? 'Finish the required task first.' : null;
    return [{ ...START, blocked }];
  }
  return [STOP, RESTART];
}

/** What the toast says once the server has taken the command. */
export function commandDone(command: Command, title: string): string {
  const words = { start: 'is starting', stop: 'is stopping', restart: 'is restarting' } as const;
  return `${title} ${words[command]}.`;
}
