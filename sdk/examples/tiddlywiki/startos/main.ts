import { daemon, httpAnswers, jsonFile, oneshot, shape, units, use, withSubcontainer, type Effects, type Units } from '@coppice/sdk';
import { port } from './interfaces.js';
import { login } from './login.js';
import { tiddlywiki } from './package.js';
import { notes, settings, site, user } from './places.js';
import { publish } from './publish.js';

const names = (usual: readonly string[]) => shape.array(shape.string()).or(usual);

/** What the wiki is made of; its owner may add plugins and themes, which stay. */
const info = jsonFile(
  notes.volume.file('tiddlywiki.info'),
  shape.object({
    plugins: names(['tiddlywiki/tiddlyweb', 'tiddlywiki/filesystem', 'tiddlywiki/highlight']),
    themes: names(['tiddlywiki/vanilla', 'tiddlywiki/snowwhite']),
  }),
);

/** For each install, update and restore: the folders that the wiki's user writes into are its own. */
export async function prepareFolders(effects: Effects): Promise<void> {
  await info.merge({});
  const box = tiddlywiki.subcontainer({ image: 'wiki', mounts: [notes.volume.at(notes.at), site.volume.at(site.at)] });
  await withSubcontainer(effects, box, inside => inside.run(['chown', `${user}:${user}`, notes.at, site.at], { user: 'root' }));
}

/** What runs. */
export async function daemons(effects: Effects): Promise<Units> {
  // The wiki reads its logins once. Using them here restarts the service when they change.
  await use(effects, login);

  const mounts = [notes.volume.at(notes.at), settings.volume.at(settings.at, { readonly: true })];
  return units({
    wiki: daemon({
      in: tiddlywiki.subcontainer({ image: 'wiki', mounts }),
      command: [
        'tiddlywiki',
        notes.at,
        '--listen',
        'host=0.0.0.0',
        `port=${port}`,
        `credentials=${settings.at}/login.csv`,
        'readers=(authenticated)',
        'writers=(authenticated)',
      ],
      // A note is written down when it is sent, and there is no handler for SIGTERM, which it would need.
      graceMs: 1_000,
      ready: {
        name: 'Wiki',
        // Who does not log in is answered with 401.
        check: httpAnswers(`http://127.0.0.1:${port}/status`, { also: [401], well: 'The wiki is ready', unwell: 'The wiki does not answer' }),
      },
    }),
    // After the wiki is there: nobody waits for it.
    publish: oneshot(publish, { requires: ['wiki'] }),
  });
}
