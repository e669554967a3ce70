/** Whether the services another one leans on are there; versions are judged by the server alone. */
import type { PackageEntry } from '../api/schema';
import { manifestOf } from './manifest';
import type { Look } from './status';
import { serviceLook } from './status';

export interface DependencyRow {
  readonly id: string;
  readonly title: string;
  readonly versionRange: string;
  readonly installed: boolean;
  readonly look: Look;
}

export function dependencyRows(
  entry: PackageEntry,
  packages: ReadonlyMap<string, PackageEntry>,
): readonly DependencyRow[] {
  return Object.entries(entry.currentDependencies).map(([id, dependency]) => {
    const target = packages.get(id);
    const title = target ? manifestOf(target).title : (dependency.title ?? id);
    return {
      id,
      title,
      versionRange: dependency.versionRange === '*' ? '' : dependency.versionRange,
      installed: target !== undefined,
      look: dependencyLook(dependency.kind, target),
    };
  });
}

function dependencyLook(kind: 'exists' | 'running', target: PackageEntry | undefined): Look {
  if (!target) return { tone: 'care', word: 'Not installed', sentence: '' };
  if (kind === 'exists' && target.stateInfo.state === 'installed') return { tone: 'good', word: 'Installed', sentence: '' };
  const look = serviceLook(target);
  return look.tone === 'quiet' ? { ...look, tone: 'care' } : look;
}
