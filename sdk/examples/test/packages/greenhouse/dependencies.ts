import { publish } from '../ledger/actions/publish';
import type { manifest as ledgerManifest } from '../ledger/manifest';
import { sdk } from './sdk';

/** What it needs of the ledger while it runs. */
export const setDependencies = sdk.setupDependencies(async () => ({
  ledger: { kind: 'running', versionRange: '>=1.0.0:0', healthChecks: ['postgres', 'web'] },
}));

/** Asks for the ledger to be published, and again whenever it is not any more. */
export const askToPublish = sdk.setupOnInit(async effects => {
  await sdk.action.createTask(effects, 'ledger', publish, 'critical', {
    replayId: 'ledger-is-published',
    reason: 'The greenhouse shows the ledger',
    when: { condition: 'input-not-matches', once: false },
    input: { kind: 'partial', accept: [{ published: true }], set: { published: true } },
  });
});

/** The part of the ledger that others may read. */
export const ledgersPage = sdk.Mounts.of().mountDependency<typeof ledgerManifest>({
  dependencyId: 'ledger',
  volumeId: 'main',
  subpath: 'published',
  mountpoint: '/srv/site/ledger',
  readonly: true,
});
