import { VersionInfo } from '@start9labs/start-sdk';
import { stations } from '../stations';

export const v2_0_0 = VersionInfo.of({
  version: '2.0.0:0',
  releaseNotes: 'Stations are read as often as one wants.',
  migrations: {
    up: async ({ effects }) => {
      const all = (await stations.read(s => s.stations).once()) ?? [];
      await stations.write(effects, { stations: all.map(one => ({ ...one, every: 2 })) });
    },
    down: async ({ effects }) => {
      const all = (await stations.read(s => s.stations).once()) ?? [];
      await stations.write(effects, { stations: all.map(({ name, wind }) => ({ name, wind })) });
    },
  },
});
