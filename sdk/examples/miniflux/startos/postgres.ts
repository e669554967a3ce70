/**
 * The database: its cluster, its server, and the dump that a backup holds.
 *
 * Invariant: the cluster is whole or not there. It is made, and restored, under another name and renamed at the end.
 */
import { access, rename, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { withSubcontainer, type Effects, type Subcontainer } from '@coppice/sdk';
import { miniflux } from './package.js';
import { store } from './store.js';

/** The role that owns the database, and the database's name. */
export const role = 'miniflux';

const [main, db] = [miniflux.volume('main'), miniflux.volume('db')];
const mountpoint = '/var/lib/postgresql';
/** Named after the major version, whose files no other can read. */
const cluster = '17';
/** The part of the volume `main` that a backup's dump is in. */
const dumps = 'dump';
const dumpFile = `/dump/${role}.dump`;

/** What PostgreSQL runs in. */
export const box = miniflux.subcontainer({ image: 'postgres', mounts: [db.at(mountpoint)] });

/** The same, with a place for the dump. */
const boxForDumps = miniflux.subcontainer({ image: 'postgres', mounts: [db.at(mountpoint), main.at('/dump', { subpath: dumps })] });

/** UTF-8 everywhere, sorted by PostgreSQL itself: an update of the C library cannot break an index. */
const initdb = [
  'initdb',
  `--username=${role}`,
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--locale=C.UTF-8',
  '--auth-local=trust',
  '--auth-host=scram-sha-256',
] as const;

const serve = (folder: string, addresses: string): [string, ...string[]] => [
  'postgres',
  '-D',
  `${mountpoint}/${folder}`,
  '-c',
  `listen_addresses=${addresses}`,
];

/** Listens on loopback only: other services share the bridge with this one, none has business here. */
export const server = serve(cluster, '127.0.0.1');

/** Ends with 0 once {@link server} takes connections. */
export const isReady = ['pg_isready', '--quiet', '--host=127.0.0.1', `--username=${role}`] as const;

const isThere = (path: string): Promise<boolean> => access(path).then(() => true, () => false);

const hasCluster = (): Promise<boolean> => isThere(db.path(`${cluster}/PG_VERSION`));

/** Makes the cluster and its one database unless they exist. */
export async function createCluster(effects: Effects): Promise<void> {
  if (!(await hasCluster())) await withSubcontainer(effects, box, make);
}

/** Makes a new one; `fill` is called with a server that has its empty database. */
async function make(postgres: Subcontainer, fill: (() => Promise<void>) | null = null): Promise<void> {
  const { databasePassword } = await store.read();
  const [unfinished, passwordFile] = [`${cluster}.new`, '/tmp/password'];
  await rm(db.path(unfinished), { recursive: true, force: true });
  await postgres.run(['chown', 'postgres:postgres', mountpoint], { user: 'root' });
  await postgres.writeFile(passwordFile, databasePassword);
  await postgres.run([...initdb, `--pwfile=${passwordFile}`, '-D', `${mountpoint}/${unfinished}`], { timeoutMs: null });
  // A server for one command, so that no second start is needed to make the database.
  const single = ['postgres', '--single', '-j', '-D', `${mountpoint}/${unfinished}`, 'postgres'] as const;
  await postgres.run(single, { input: `CREATE DATABASE ${role}\n`, timeoutMs: null });
  if (fill !== null) await served(postgres, unfinished, fill);
  await rm(db.path(cluster), { recursive: true, force: true });
  await rename(db.path(unfinished), db.path(cluster));
}

/** Has a server run that only this subcontainer reaches, for as long as `work` takes. */
async function served(postgres: Subcontainer, folder: string, work: () => Promise<void>): Promise<void> {
  const running = await postgres.spawn(serve(folder, ''));
  try {
    while ((await postgres.exec(['pg_isready', '--quiet', `--username=${role}`])).exit.code !== 0) {
      const ended = await Promise.race([delay(100), running.exit]);
      if (ended !== undefined) throw new Error('PostgreSQL did not start; the log says why');
    }
    await work();
  } finally {
    // Ends connections and writes everything down. SIGTERM would wait for whoever is connected.
    running.kill('SIGINT');
    await running.exit;
  }
}

/** Before a backup: puts a dump beside the settings, which any later PostgreSQL can read. The cluster itself stays behind. */
export async function dump(effects: Effects): Promise<void> {
  await removeDump();
  if (!(await hasCluster())) return;
  await withSubcontainer(effects, boxForDumps, async postgres => {
    await postgres.run(['chown', 'postgres:postgres', '/dump'], { user: 'root' });
    await served(postgres, cluster, async () => {
      await postgres.run(['pg_dump', `--username=${role}`, '--format=custom', `--file=${dumpFile}`, role], { timeoutMs: null });
    });
  });
}

/** After a restore: makes a cluster with what the dump holds. */
export async function restoreDump(effects: Effects): Promise<void> {
  if (!(await isThere(main.path(`${dumps}/${role}.dump`)))) return;
  await withSubcontainer(effects, boxForDumps, postgres =>
    make(postgres, async () => {
      const options = [`--username=${role}`, `--dbname=${role}`, '--exit-on-error'];
      await postgres.run(['pg_restore', ...options, dumpFile], { timeoutMs: null });
    }),
  );
  await removeDump();
}

/** After a backup. */
export const removeDump = (): Promise<void> => rm(main.path(dumps), { recursive: true, force: true });
