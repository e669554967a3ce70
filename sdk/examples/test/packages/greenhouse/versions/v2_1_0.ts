import { VersionInfo } from '@start9labs/start-sdk';
import { beds } from '../beds';

/** One that should not have been published: its page is never there. */
export const v2_1_0 = VersionInfo.of({
  version: '2.1.0:0',
  releaseNotes: 'Beds are warmer.',
  migrations: { up: async ({ effects }) => void (await beds.write(effects, { beds: [] })) },
});
