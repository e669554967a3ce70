import { VersionInfo } from '@start9labs/start-sdk';
import { seen } from '../seen';

/** One that should not have been published: it gives all its ways in up, and then ends. */
export const v2_1_0 = VersionInfo.of({
  version: '2.1.0:0',
  releaseNotes: 'Darkness.',
  migrations: { up: async ({ effects }) => void (await seen.merge(effects, { lamp: 'none' })) },
});
