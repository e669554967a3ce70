/** What the host calls. */
import { backup, versions } from '@coppice/sdk';
import { config } from './config';
import { page } from './interfaces';
import { daemons } from './main';
import { hello } from './package';
import { setGreeting } from './setGreeting';

export const { manifest, init, uninit, main, createBackup, actions } = hello.build({
  versions: versions({ current: '1.0.0:0', releaseNotes: 'The first version.' }),
  // Writes the file with its default where there is none yet.
  setup: async () => void (await config.merge({})),
  interfaces: [page],
  daemons,
  actions: [setGreeting],
  backup: backup({ volumes: [hello.volume('main')] }),
});
