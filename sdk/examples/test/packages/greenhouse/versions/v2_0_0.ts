import { VersionInfo } from '@start9labs/start-sdk';
import { beds } from '../beds';

export const v2_0_0 = VersionInfo.of({
  version: '2.0.0:0',
  releaseNotes: 'Beds have crops.',
  migrations: {
    up: async ({ effects }) => {
      const all = (await beds.read(b => b.beds).once()) ?? [];
      await beds.write(effects, { beds: all.map(bed => ({ ...bed, crop: 'kale' })) });
    },
    down: async ({ effects }) => {
      const all = (await beds.read(b => b.beds).once()) ?? [];
      await beds.write(effects, { beds: all.map(({ name }) => ({ name })) });
    },
  },
});
