import { mkdir, rm, writeFile } from 'node:fs/promises';
import { i18n } from './i18n';
import { port } from './interfaces';
import { settings } from './lighttpd';
import * as postgres from './postgres';
import { sdk } from './sdk';
import { store } from './store';

/** Runs on every start: the database, its tables, the page, and who serves it. */
export const main = sdk.setupMain(async ({ effects }) => {
  const now = await store.read().const(effects);
  if (now === null) throw new Error('store.json is missing from the volume `main`');
  const database = sdk.SubContainer.of(effects, { imageId: 'postgres' }, postgres.mounts, 'database');
  const site = sdk.Mounts.of().mountVolume({ volumeId: 'main', subpath: 'site', mountpoint: '/srv/site', readonly: true });
  const web = await sdk.SubContainer.eager(effects, { imageId: 'web' }, site, 'web');
  await web.writeFile('/etc/ledger.conf', settings(port, '/srv/site'));
  const env = await postgres.fromElsewhere();

  return sdk.Daemons.of(effects)
    .addOneshot('cluster', {
      subcontainer: database,
      exec: {
        fn: async box => {
          await postgres.makeCluster(box, now.databasePassword);
          return null;
        },
      },
      requires: [],
    })
    .addDaemon('postgres', {
      subcontainer: database,
      exec: { command: postgres.server, sigtermTimeout: 20_000, env: { LC_ALL: 'C.UTF-8' } },
      ready: {
        display: i18n('Database'),
        gracePeriod: 20_000,
        fn: () => sdk.healthCheck.runHealthScript(postgres.isReady, database, { message: () => 'PostgreSQL takes connections' }),
        trigger: sdk.trigger.statusTrigger(5_000, { starting: 200, waiting: 200, failure: 500 }),
      },
      requires: ['cluster'],
    })
    .addOneshot('tables', {
      subcontainer: database,
      exec: { command: ['psql', '-q', '-U', postgres.role, '-d', postgres.role, '-f', '/assets/schema.sql'], env },
      requires: ['postgres'],
    })
    .addOneshot('page', {
      subcontainer: database,
      exec: {
        fn: async box => {
          const rows = await postgres.query(box, "SELECT what || ': ' || cents FROM entries ORDER BY id");
          const [folder, published] = [sdk.volumes.main.subpath('site'), sdk.volumes.main.subpath('published')];
          const page = `<title>${now.owner}</title><pre>${rows}</pre>\n`;
          await mkdir(folder, { recursive: true });
          await mkdir(published, { recursive: true });
          await writeFile(`${folder}/page.html`, page);
          if (now.published) await writeFile(`${published}/page.html`, page);
          else await rm(`${published}/page.html`, { force: true });
          return null;
        },
      },
      requires: ['tables'],
    })
    .addDaemon('web', {
      subcontainer: web,
      exec: { command: sdk.useEntrypoint(['-D', '-f', '/etc/ledger.conf']) },
      ready: {
        display: i18n('Page'),
        fn: () => sdk.healthCheck.checkWebUrl(effects, `http://127.0.0.1:${port}/page.html`, { successMessage: 'The page is there' }),
        trigger: sdk.trigger.cooldownTrigger(1_000),
      },
      requires: ['page'],
    })
    .addHealthCheck('entries', {
      ready: {
        display: i18n('Entries'),
        fn: async () => {
          const count = await postgres.query(await database.eager(), 'SELECT count(*) FROM entries');
          return { result: 'success', message: i18n('${count} entries', { count: Number(count) }) };
        },
        trigger: sdk.trigger.cooldownTrigger(2_000),
      },
      requires: ['postgres', 'tables'],
    });
});
