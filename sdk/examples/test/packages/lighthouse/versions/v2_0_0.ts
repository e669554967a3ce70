import { VersionInfo } from '@start9labs/start-sdk';
import { seen } from '../seen';

export const v2_0_0 = VersionInfo.of({
  version: '2.0.0:0',
  releaseNotes: 'Metrics, and no page for keepers any more.',
  migrations: {
    up: async ({ effects }) => void (await seen.merge(effects, { lamp: 'led' })),
    down: async ({ effects }) => void (await seen.merge(effects, { lamp: 'oil' })),
  },
});
