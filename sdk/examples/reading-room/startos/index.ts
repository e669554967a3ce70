/** What the host calls. */
import { daemon, demandNeeds, healthCheck, http, needsMet, oneshot, portListening, taskOf, units, versions } from '@coppice/sdk';
import { readingRoom, wiki } from './package.js';
import { words } from './words.js';

/** Where the server listens inside the container; see `images/web.sh`. */
const port = 8080;

/** The page that TiddlyWiki makes is read where it lies: what is published there is here at once, and never written. */
const box = readingRoom.subcontainer({ image: 'web', mounts: [wiki.volume('site', '/srv/www', { readonly: true })] });

export const { manifest, init, uninit, main, createBackup, actions } = readingRoom.build({
  versions: versions({ current: '1.0.0:0', releaseNotes: 'The first version.' }),
  interfaces: [http({ host: 'ui', port, interfaces: [{ id: 'ui', name: 'Page', description: 'What is published' }] })],
  needs: [wiki.running('>=5.4.1:0', ['wiki'])],
  // Asks in the other service, until its settings are these, and again should they change.
  tasks: async () => [
    taskOf({ packageId: wiki.id, actionId: 'publish', severity: 'important', reason: words()('publish'), untilInput: { published: true } }),
  ],
  daemons: async () => {
    const t = words();
    return units({
      // A start without the wiki fails, and is held until that is well. What runs already goes on without it.
      needs: oneshot(demandNeeds),
      web: daemon({
        in: box,
        command: ['lighttpd', '-D', '-f', '/etc/reading-room.conf'],
        requires: ['needs'],
        ready: { name: t('page'), check: portListening(port, { well: t('pageReady'), unwell: t('pageUnready') }) },
      }),
      wiki: healthCheck({ name: t('wiki'), check: needsMet({ well: t('wikiThere') }), graceMs: 0, everyMs: 2_000 }),
    });
  },
});
