/** Tasks: what the service asks its owner to do, the most urgent first. */
import type { PackageEntry, Severity } from '../api/schema';
import type { Tone } from './status';

export interface TaskRow {
  readonly replayId: string;
  readonly severity: Severity;
  readonly severityWord: string;
  readonly tone: Tone;
  readonly title: string;
  readonly reason: string;
  /** The package whose action is run; often the service itself. */
  readonly packageId: string;
  readonly actionId: string;
  readonly prefill: Record<string, unknown> | null;
  /** Why it cannot be run now; null when it can. */
  readonly blocked: string | null;
  readonly dismissible: boolean;
}

const WORDS: Record<Severity, { word: string; tone: Tone; rank: number }> = {
  critical: { word: 'Required', tone: 'care', rank: 0 },
  important: { word: 'Recommended', tone: 'busy', rank: 1 },
  optional: { word: 'Optional', tone: 'quiet', rank: 2 },
};

export function openTasks(
  entry: PackageEntry,
  packages: ReadonlyMap<string, PackageEntry>,
): readonly TaskRow[] {
  return Object.entries(entry.tasks)
    .filter(([, { active }]) => active)
    .map(([replayId, { task }]): TaskRow => {
      const target = packages.get(task.packageId);
      const action = target?.actions[task.actionId];
      const words = WORDS[task.severity];
      return {
        replayId,
        severity: task.severity,
        severityWord: words.word,
        tone: words.tone,
        title: action?.name ?? task.actionId,
        reason: task.reason ?? action?.description ?? '',
        packageId: task.packageId,
        actionId: task.actionId,
        prefill: task.input?.set ?? null,
        blocked: blockedBecause(task.packageId, target, action !== undefined),
        dismissible: task.severity !== 'critical',
      };
    })
    .sort((a, b) => WORDS[a.severity].rank - WORDS[b.severity].rank || a.title.localeCompare(b.title));
}

function blockedBecause(packageId: string, target: PackageEntry | undefined, known: boolean): string | null {
  if (!target) return `Install ${packageId} first.`;
  if (!known) return 'This action is not there yet. It appears once the service has set itself up.';
  return null;
}
