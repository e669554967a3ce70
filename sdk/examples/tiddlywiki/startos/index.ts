/** What the host calls. */
import { backup, versions } from '@coppice/sdk';
import { ui } from './interfaces.js';
import { makeLogin, setLogin } from './login.js';
import { daemons, prepareFolders } from './main.js';
import { tiddlywiki } from './package.js';
import { publishing, setPublishing } from './publish.js';

export const { manifest, init, uninit, main, createBackup, actions } = tiddlywiki.build({
  versions: versions({ current: '5.4.1:0', releaseNotes: 'TiddlyWiki 5.4.1.' }),
  setup: async ({ effects, kind }) => {
    await makeLogin();
    await publishing.merge({});
    if (kind !== null) await prepareFolders(effects);
  },
  interfaces: [ui],
  daemons,
  actions: [setLogin, setPublishing],
  // What is published is made again from the notes, on the next start.
  backup: backup({ volumes: [tiddlywiki.volume('main'), tiddlywiki.volume('notes')] }),
});
