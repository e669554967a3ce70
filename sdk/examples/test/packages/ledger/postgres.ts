import { access } from 'node:fs/promises';
import type { SubContainer, T } from '@start9labs/start-sdk';
import type { manifest } from './manifest';
import { sdk } from './sdk';
import { store } from './store';

type Box = SubContainer<typeof manifest>;

/** The role that owns the database, and the database's name. */
export const role = 'ledger';
/** Where the volume `db` appears. */
export const mountpoint = '/var/lib/postgresql';
/** The cluster, seen from there. */
export const cluster = '/17';

/** What PostgreSQL sees of the volumes, and the scripts that come with the package. */
export const mounts = sdk.Mounts.of()
  .mountVolume({ volumeId: 'db', subpath: null, mountpoint, readonly: false })
  .mountAssets({ subpath: null, mountpoint: '/assets' });

/** Its server, which other containers cannot reach. */
export const server: [string, ...string[]] = ['postgres', '-D', mountpoint + cluster, '-c', 'listen_addresses=127.0.0.1'];

/** Ends with 0 once {@link server} takes connections. */
export const isReady = ['pg_isready', '--quiet', '--host=127.0.0.1', `--username=${role}`];

/** Makes the cluster and its one database unless they exist. */
export async function makeCluster(postgres: Box, password: string): Promise<void> {
  if (await access(sdk.volumes.db.subpath('17/PG_VERSION')).then(() => true, () => false)) return;
  await postgres.execFail(['chown', 'postgres:postgres', mountpoint], { user: 'root' });
  const initdb = ['initdb', `--username=${role}`, '--encoding=UTF8', '--auth-local=trust', '--auth-host=scram-sha-256', '--no-sync'];
  await postgres.writeFile('/tmp/password', password);
  await postgres.execFail([...initdb, '--pwfile=/tmp/password', '-D', mountpoint + cluster], { env: { TZ: 'UTC' } }, null);
  await postgres.execFail(['postgres', '--single', '-D', mountpoint + cluster, 'postgres'], { input: `CREATE DATABASE ${role}\n` }, null);
}

/** How `psql` finds the server of the daemon from another subcontainer: by its port, with the password. */
export const fromElsewhere = async () => ({ PGHOST: '127.0.0.1', PGPASSWORD: (await store.read(s => s.databasePassword).once()) ?? '' });

/** What a query gives, a line for each row; in `sql` a `:'name'` stands for one of the variables. */
export async function query(
  postgres: Box,
  sql: string,
  { variables = {}, env = {} }: { variables?: Record<string, string>; env?: Record<string, string> } = {},
): Promise<string> {
  const set = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  const psql = ['psql', '-qAt', '-v', 'ON_ERROR_STOP=1', ...set, '-U', role, '-d', role];
  return (await postgres.execFail(psql, { input: sql, env })).stdout.toString().trim();
}

/** Has a server run that only `work` reaches: in a migration there is no daemon yet. */
export async function alone(effects: T.Effects, work: (postgres: Box) => Promise<void>): Promise<void> {
  await sdk.SubContainer.withTemp(effects, { imageId: 'postgres' }, mounts, 'migration', async postgres => {
    const control = ['pg_ctl', '-w', '-D', mountpoint + cluster];
    await postgres.exec(['rm', '-f', `${mountpoint}${cluster}/postmaster.pid`]);
    await postgres.execFail([...control, '-l', '/tmp/log', '-o', '-c listen_addresses=', 'start']);
    await work(postgres);
    await postgres.execFail([...control, 'stop']);
  });
}
