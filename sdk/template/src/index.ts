/** What the host calls. */
import { backup, http, versions } from '@coppice/sdk';
import { daemons, port } from './daemons.js';
import { pkg } from './package.js';
import { settings } from './settings.js';
import { setText } from './setText.js';

export const { manifest, init, uninit, main, createBackup, actions } = pkg.build({
  versions: versions({ current: '0.1.0:0', releaseNotes: 'The first version.' }),
  // Writes the file with its defaults where there is none yet.
  setup: async () => void (await settings.merge({})),
  interfaces: [http({ host: 'ui', port, interfaces: [{ id: 'ui', name: 'Page', description: 'The page' }] })],
  daemons,
  actions: [setText],
  backup: backup({ volumes: [pkg.volume('main')] }),
});
