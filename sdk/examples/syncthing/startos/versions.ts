import { VersionGraph, VersionInfo } from '@start9labs/start-sdk';

const current = VersionInfo.of({
  version: '1.29.5:0',
  releaseNotes: 'Syncthing 1.29.5.',
  migrations: {},
});

/** Every version whose data this one can take over. */
export const versions = VersionGraph.of({ current, other: [] });
