import { VersionGraph, VersionInfo } from '@start9labs/start-sdk';

const current = VersionInfo.of({
  version: '2.2.6:0',
  releaseNotes: 'Miniflux 2.2.6 on PostgreSQL 17.',
  migrations: {},
});

/** Every version whose data this one can take over. */
export const versions = VersionGraph.of({ current, other: [] });
