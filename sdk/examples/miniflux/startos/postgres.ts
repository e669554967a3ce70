import { rename, rm } from 'node:fs/promises';
import type { SubContainer } from '@start9labs/start-sdk';
import type { manifest } from './manifest';
import { sdk } from './sdk';

/** The role that owns the database, the database's name. */
export const role = 'miniflux';

/** Where the volume `db` appears in the container of PostgreSQL. */
export const mountpoint = '/var/lib/postgresql';

/** The cluster inside the volume. It is named after the major version, whose files no other can read. */
export const cluster = '/17';

/** UTF-8 everywhere, sorted by PostgreSQL itself: an update of the C library cannot break an index. */
const initdb = [
  'initdb',
  `--username=${role}`,
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--locale=C.UTF-8',
  '--auth-local=trust',
  '--auth-host=scram-sha-256',
];

/** Listens on loopback only: other services share the bridge with this one, none has business here. */
export const server: [string, ...string[]] = [
  'postgres',
  '-D',
  `${mountpoint}${cluster}`,
  '-c',
  'listen_addresses=127.0.0.1',
];

/** Ends with 0 once {@link server} takes connections. */
export const isReady = ['pg_isready', '--quiet', '--host=127.0.0.1', `--username=${role}`];

type Postgres = SubContainer<typeof manifest>;

/**
 * Makes the cluster and its one database unless they exist.
 *
 * Everything is made under another name and renamed at the end, so that a power cut leaves either a whole
 * cluster or none.
 */
export async function createCluster(postgres: Postgres, password: string): Promise<void> {
  const finished = sdk.volumes.db.subpath(cluster);
  if (await sdk.volumes.db.readFile(`${cluster}/PG_VERSION`).then(() => true, () => false)) return;

  const unfinished = `${mountpoint}${cluster}.new`;
  const passwordFile = '/tmp/password';
  await rm(`${finished}.new`, { recursive: true, force: true });
  await postgres.execFail(['chown', 'postgres:postgres', mountpoint], { user: 'root' });
  await postgres.writeFile(passwordFile, password);
  try {
    await postgres.execFail([...initdb, `--pwfile=${passwordFile}`, '-D', unfinished], {}, null);
  } finally {
    await rm(await postgres.subpath(passwordFile));
  }
  // A server for one command, so that no second start is needed to make the database.
  const single = ['postgres', '--single', '-j', '-D', unfinished, 'postgres'];
  await postgres.execFail(single, { input: `CREATE DATABASE ${role}\n` }, null);
  await rename(`${finished}.new`, finished);
}

/** A backup holds a dump, which any later PostgreSQL can read; the cluster's own files stay behind. */
export const dump = {
  imageId: 'postgres',
  dbVolume: 'db',
  mountpoint,
  pgdataPath: cluster,
  database: role,
  user: role,
  initdbArgs: initdb.slice(2),
} as const;
