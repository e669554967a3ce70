/** Actions: groups, order, and whether each may be run now. */
import type { ActionMetadata, PackageEntry } from '../api/schema';

export interface ActionRow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly warning: string | null;
  readonly hasInput: boolean;
  /** Why it cannot be run now; null when it can. */
  readonly blocked: string | null;
}

export interface ActionGroup {
  readonly name: string;
  readonly actions: readonly ActionRow[];
}

const UNGROUPED = 'General';

/** Visible actions by group; the ungrouped first, then groups and actions by name. */
export function actionGroups(entry: PackageEntry): readonly ActionGroup[] {
  const groups = new Map<string, ActionRow[]>();
  for (const [id, action] of Object.entries(entry.actions)) {
    if (action.visibility === 'hidden') continue;
    const name = action.group ?? UNGROUPED;
    const rows = groups.get(name) ?? [];
    rows.push({
      id,
      name: action.name,
      description: action.description,
      warning: action.warning,
      hasInput: action.hasInput,
      blocked: actionBlocked(action, entry),
    });
    groups.set(name, rows);
  }
  return [...groups]
    .map(([name, actions]) => ({ name, actions: actions.sort((a, b) => a.name.localeCompare(b.name)) }))
    .sort((a, b) => Number(b.name === UNGROUPED) - Number(a.name === UNGROUPED) || a.name.localeCompare(b.name));
}

/** Why the host would refuse the action now; hidden actions may be run, by tasks. */
export function actionBlocked(action: ActionMetadata, entry: PackageEntry): string | null {
  if (typeof action.visibility === 'object') return action.visibility.disabled;
  if (entry.stateInfo.state !== 'installed') return 'Wait until the service is installed.';
  const up = entry.statusInfo.started !== null;
  if (action.allowedStatuses === 'only-running' && !up) return 'Start the service first.';
  if (action.allowedStatuses === 'only-stopped' && up) return 'Stop the service first.';
  return null;
}
