import { VersionGraph, VersionInfo } from '@start9labs/start-sdk';

const current = VersionInfo.of({
  version: '1.0.0:0',
  releaseNotes: 'The first version.',
  migrations: {},
});

/** Every version whose data this one can take over. */
export const versions = VersionGraph.of({ current, other: [] });
