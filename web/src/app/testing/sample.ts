/** Realistic entries for tests, made by code: every field present, the interesting ones set by the test. */
import { packageEntry, type PackageEntry } from '../api/schema';

export const manifest = (id: string, title: string) => ({
  id,
  title,
  version: '1.0.0:0',
  description: { short: `${title} in short`, long: `${title} at length` },
  license: 'MIT',
});

export const action = (over: Record<string, unknown> = {}) => ({
  name: 'Set name',
  description: 'Changes the name.',
  warning: null,
  visibility: 'enabled',
  allowedStatuses: 'any',
  hasInput: true,
  group: null,
  ...over,
});

/** An installed service called Hello; `over` replaces top-level fields, `status` those of statusInfo. */
export function entry(over: Record<string, unknown> = {}, status: Record<string, unknown> = {}): PackageEntry {
  return packageEntry.parse({
    stateInfo: { state: 'installed', manifest: manifest('hello', 'Hello') },
    statusInfo: { health: {}, error: null, started: null, desired: { main: 'stopped' }, ...status },
    icon: 'data:image/svg+xml,',
    registry: null,
    currentDependencies: {},
    actions: {},
    tasks: {},
    hosts: {},
    restarts: {},
    parked: null,
    held: null,
    asleep: null,
    ...over,
  });
}
