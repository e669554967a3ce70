import { VersionInfo } from '@start9labs/start-sdk';
import { vane } from '../stations';

/** One that should not have been published: its stations end as soon as they begin. */
export const v2_1_0 = VersionInfo.of({
  version: '2.1.0:0',
  releaseNotes: 'Quieter stations.',
  migrations: { up: async ({ effects }) => void (await vane.merge(effects, { UNIT: 'silence' })) },
});
