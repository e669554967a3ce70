/**
 * A service's state in a word, a sentence and a tone.
 *
 * Invariant: the whole table of `desired` times `started` is spelled out here and nowhere else;
 * components only paint what `serviceLook` says.
 */
import type { HealthReport, PackageEntry, StatusInfo } from '../api/schema';
import { clockTime } from './time';
import { progressLook } from './progress';
import { unreachable } from './unreachable';

/** good: as wanted; busy: on its way; care: waits for the user; bad: broken; quiet: off on purpose. */
export type Tone = 'good' | 'busy' | 'care' | 'bad' | 'quiet';

export interface Look {
  readonly tone: Tone;
  readonly word: string;
  /** What it means and what comes next, in one or two short sentences. */
  readonly sentence: string;
}

const look = (tone: Tone, word: string, sentence: string): Look => ({ tone, word, sentence });

/** Required tasks that keep the service from starting. */
export function blockingTasks(entry: PackageEntry): number {
  return Object.values(entry.tasks).filter(t => t.active && t.task.severity === 'critical').length;
}

export function serviceLook(entry: PackageEntry): Look {
  const { stateInfo } = entry;
  switch (stateInfo.state) {
    case 'installing':
      return look('busy', 'Installing', progressLook(stateInfo.installingInfo.progress).words);
    case 'updating':
      return look('busy', 'Updating', progressLook(stateInfo.installingInfo.progress).words);
    case 'removing':
      return look('busy', 'Uninstalling', 'Its containers and addresses are being removed.');
    case 'installed':
      return installedLook(entry);
    default:
      return unreachable(stateInfo);
  }
}

function installedLook(entry: PackageEntry): Look {
  const { statusInfo, parked, held } = entry;
  const { desired, started, error } = statusInfo;
  if (held && (desired.main === 'running' || desired.main === 'restarting')) {
    return look('care', 'Waiting', sentenceEnd(capital(held.reason)));
  }
  if (error) return look('bad', 'Error', error.details);
  switch (desired.main) {
    case 'stopped':
      if (started !== null) return look('busy', 'Stopping', 'It is finishing its work.');
      return blockingTasks(entry) > 0
        ? look('care', 'Needs you', 'Finish the required task, then start it.')
        : look('quiet', 'Stopped', 'Start it whenever you like.');
    case 'restarting':
      return look('busy', 'Restarting', 'It will be back in a moment.');
    case 'backing-up':
      return started === null
        ? look('busy', 'Backing up', 'It goes back to what it was doing when the backup ends.')
        : look('busy', 'Stopping for backup', 'The backup begins once it has stopped.');
    case 'running':
      if (parked) {
        const next = `Next try at ${clockTime(parked.nextProbe)}, or press Restart to try now.`;
        return look('bad', 'Keeps failing', `${sentenceEnd(parked.reason)} ${next}`);
      }
      return started === null ? look('busy', 'Starting', 'It is being started.') : upLook(statusInfo);
    default:
      return unreachable(desired);
  }
}

/** Up; how well is up to its health checks, worst first. */
function upLook({ health }: StatusInfo): Look {
  const checks = Object.values(health);
  const of = (...results: HealthReport['result'][]) => checks.filter(c => results.includes(c.result));
  const failing = of('failure');
  if (failing.length > 0) return look('bad', 'Unhealthy', failing.map(checkSentence).join(' '));
  const loading = of('loading');
  if (loading.length > 0) return look('busy', 'Loading', loading.map(checkSentence).join(' '));
  const starting = of('starting', 'waiting');
  if (starting.length > 0) return look('busy', 'Starting', starting.map(checkSentence).join(' '));
  return look('good', 'Running', checks.length > 0 ? 'All is well.' : 'It is up.');
}

function checkSentence({ name, result, message }: HealthReport): string {
  return message ? sentenceEnd(`${name}: ${message}`) : `${name} is ${result === 'failure' ? 'failing' : result}.`;
}

/** With its first letter as a sentence has it. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Adds a full stop unless the text already ends like a sentence. */
export function sentenceEnd(text: string): string {
  const trimmed = text.trim();
  return /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

/** A health check's word and tone for the table. */
export function healthLook({ result, message }: HealthReport): Look {
  switch (result) {
    case 'success':
      return look('good', 'Healthy', message ?? '');
    case 'disabled':
      return look('quiet', 'Off', message ?? 'This check is switched off.');
    case 'starting':
      return look('busy', 'Starting', message ?? 'Waiting for the first good answer.');
    case 'waiting':
      return look('busy', 'Waiting', message ?? 'Waiting for another part of the service.');
    case 'loading':
      return look('busy', 'Loading', message ?? '');
    case 'failure':
      return look('bad', 'Failing', message ?? 'It gave no reason.');
    default:
      return unreachable(result);
  }
}

/** A summary for the top of the list: the worst news first, or that there is none. */
export function fleetSentence(entries: readonly PackageEntry[]): string {
  const tones = entries.map(e => serviceLook(e).tone);
  const count = (tone: Tone) => tones.filter(t => t === tone).length;
  const parts = [
    [count('bad'), 'in trouble'],
    [count('care'), count('care') === 1 ? 'needs you' : 'need you'],
    [count('busy'), 'getting ready'],
    [count('good'), 'running'],
    [count('quiet'), 'stopped'],
  ] as const;
  return parts
    .filter(([n]) => n > 0)
    .map(([n, words]) => `${n} ${words}`)
    .join(', ');
}
