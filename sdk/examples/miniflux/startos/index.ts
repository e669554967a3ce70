/** What the host calls. */
import { backup, versions } from '@coppice/sdk';
import { ui } from './interfaces.js';
import { daemons } from './main.js';
import { miniflux } from './package.js';
import { dump, removeDump, restoreDump } from './postgres.js';
import { askForAdmin, setAdmin } from './setAdmin.js';
import { makeStore } from './store.js';

export const { manifest, init, uninit, main, createBackup, actions } = miniflux.build({
  versions: versions({ current: '2.2.6:0', releaseNotes: 'Miniflux 2.2.6 on PostgreSQL 17.' }),
  setup: makeStore,
  interfaces: [ui],
  daemons,
  actions: [setAdmin],
  tasks: askForAdmin,
  backup: backup({ volumes: [miniflux.volume('main')], before: dump, after: removeDump, afterRestore: restoreDump }),
});
