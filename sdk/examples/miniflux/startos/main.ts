import { rm } from 'node:fs/promises';
import type { SubContainer, T } from '@start9labs/start-sdk';
import { ownUrl } from './ownUrl';
import { port } from './interfaces';
import type { manifest } from './manifest';
import * as postgres from './postgres';
import { promptly } from './promptly';
import { sdk } from './sdk';
import { store } from './store';

const settingsFile = '/etc/miniflux.conf';

/** Runs on every start: PostgreSQL, then what must be done once, then Miniflux. */
export const main = sdk.setupMain(async ({ effects }) => {
  const password = await store.read(s => s.databasePassword).const(effects);
  if (password === null) throw new Error('store.json is missing from the volume `main`; reinstall or restore Miniflux');
  const url = await ownUrl(effects);

  const database = sdk.SubContainer.of(
    effects,
    { imageId: 'postgres' },
    sdk.Mounts.of().mountVolume({
      volumeId: 'db',
      subpath: null,
      mountpoint: postgres.mountpoint,
      readonly: false,
    }),
    'postgres',
  );

  // Secrets go to a file in the container, which ends with it: arguments and environments can be read by others.
  const settings = [
    `DATABASE_URL=postgres://${postgres.role}:${password}@127.0.0.1/${postgres.role}?sslmode=disable`,
    `LISTEN_ADDR=0.0.0.0:${port}`,
    ...(url === null ? [] : [`BASE_URL=${url}`]),
  ];
  const miniflux = sdk.SubContainer.of(effects, { imageId: 'miniflux' }, null, 'miniflux');
  await miniflux.writeFile(settingsFile, lines(settings));

  return sdk.Daemons.of(effects)
    .addOneshot('create-cluster', {
      subcontainer: database,
      exec: {
        fn: async subcontainer => {
          await postgres.createCluster(subcontainer, password);
          return null;
        },
      },
      requires: [],
    })
    .addDaemon('postgres', {
      subcontainer: database,
      exec: { command: postgres.server },
      ready: {
        display: 'Database',
        fn: async () => {
          const { exitCode } = await database.exec(postgres.isReady);
          return exitCode === 0
            ? { result: 'success', message: 'PostgreSQL accepts connections' }
            : { result: 'failure', message: 'PostgreSQL does not accept connections' };
        },
        trigger: promptly,
      },
      requires: ['create-cluster'],
    })
    .addOneshot('migrate', {
      subcontainer: miniflux,
      exec: { command: ['miniflux', '-c', settingsFile, '-migrate'] },
      requires: ['postgres'],
    })
    .addOneshot('create-admin', {
      subcontainer: miniflux,
      exec: {
        fn: async subcontainer => {
          await createAdmin(effects, subcontainer, settings);
          return null;
        },
      },
      requires: ['migrate'],
    })
    .addDaemon('miniflux', {
      subcontainer: miniflux,
      exec: { command: ['miniflux', '-c', settingsFile] },
      ready: {
        display: 'Web UI',
        // Answers 200 only while the database answers, too.
        fn: async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/healthcheck`).catch(() => null);
          return answer?.ok
            ? { result: 'success', message: 'The web UI is ready' }
            : { result: 'failure', message: 'The web UI does not answer' };
        },
        trigger: promptly,
      },
      requires: ['create-admin'],
    });
});

/**
 * Creates the account that the administrator chose, once, and forgets its password.
 *
 * Miniflux makes accounts from its settings whenever it starts; its cleanup task is a start that ends. (The
 * command that is meant for it insists on a terminal.) An account that exists is left as it is.
 */
async function createAdmin(
  effects: T.Effects,
  miniflux: SubContainer<typeof manifest>,
  settings: string[],
): Promise<void> {
  const admin = await store.read(s => s.admin).once();
  if (!admin?.password) return;

  const file = '/etc/miniflux-admin.conf';
  const account = ['CREATE_ADMIN=1', `ADMIN_USERNAME=${admin.username}`, `ADMIN_PASSWORD=${admin.password}`];
  await miniflux.writeFile(file, lines([...settings, ...account]));
  try {
    await miniflux.execFail(['miniflux', '-c', file, '-run-cleanup-tasks'], {}, null);
  } finally {
    await rm(await miniflux.subpath(file));
  }
  await store.merge(effects, { admin: { password: null } });
}

const lines = (all: string[]): string => all.map(line => `${line}\n`).join('');
