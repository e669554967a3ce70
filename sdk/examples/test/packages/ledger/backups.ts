import { cluster, mountpoint, role } from './postgres';
import { sdk } from './sdk';
import { store } from './store';

/** The database as a dump, `main` as it lies, without what is made anew on every start. */
export const { createBackup, restoreInit } = sdk.setupBackups(async () =>
  sdk.Backups.withPgDump({
    imageId: 'postgres',
    dbVolume: 'db',
    mountpoint,
    pgdataPath: cluster,
    database: role,
    user: role,
    password: async () => (await store.read(s => s.databasePassword).once()) ?? '',
    initdbArgs: ['--auth-local=trust', '--auth-host=scram-sha-256', '--no-sync'],
  })
    .setOptions({ exclude: ['site/'] })
    .addVolume('main'),
);
