import { commandSucceeds, daemon, envFile, httpAnswers, oneshot, oneshotIn, shape, units, use, type Effects, type Units } from '@coppice/sdk';
import { ownUrl, port } from './interfaces.js';
import { miniflux } from './package.js';
import * as postgres from './postgres.js';
import { prepare } from './prepare.js';
import { store } from './store.js';

const main = miniflux.volume('main');
/** Miniflux's settings: secrets go by file, since arguments and environments can be read by others. */
const settingsFile = envFile(main.file('settings/miniflux.conf'), shape.record(shape.string()));
const at = '/etc/miniflux';

/** Runs on every start: PostgreSQL, then what must be done once, then Miniflux. */
export async function daemons(effects: Effects): Promise<Units> {
  const password = await use(effects, store, ({ databasePassword }) => databasePassword);
  const url = await use(effects, ownUrl);
  const settings = {
    DATABASE_URL: `postgres://${postgres.role}:${password}@127.0.0.1/${postgres.role}?sslmode=disable`,
    LISTEN_ADDR: `0.0.0.0:${port}`,
    ...(url === null ? {} : { BASE_URL: url }),
  };
  await settingsFile.write(settings);
  const box = miniflux.subcontainer({ image: 'miniflux', mounts: [main.at(at, { subpath: 'settings', readonly: true })] });

  return units({
    'create-cluster': oneshot(postgres.createCluster),
    postgres: daemon({
      in: postgres.box,
      command: postgres.server,
      requires: ['create-cluster'],
      ready: {
        name: 'Database',
        check: commandSucceeds(postgres.isReady, { well: 'PostgreSQL accepts connections', unwell: 'PostgreSQL does not accept connections' }),
        everyMs: 15_000,
      },
    }),
    prepare: oneshotIn(box, inside => prepare(inside, settings), { requires: ['postgres'] }),
    miniflux: daemon({
      in: box,
      command: ['miniflux', '-c', `${at}/miniflux.conf`],
      requires: ['prepare'],
      ready: {
        name: 'Web UI',
        // Answers 200 only while the database answers, too.
        check: httpAnswers(`http://127.0.0.1:${port}/healthcheck`, { well: 'The web UI is ready', unwell: 'The web UI does not answer' }),
      },
    }),
  });
}
