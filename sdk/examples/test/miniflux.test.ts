import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withHost, type ProgramCall, type TestHost } from '@coppice/sdk/testing';
import * as miniflux from '../miniflux/startos/index.js';
import { holds } from './holds.js';

const admin = { username: 'jo', password: 'long secret' };

interface Store {
  databasePassword: string;
  admin: { username: string; password: string | null } | null;
}
const store = (host: TestHost): Store => JSON.parse(host.read('main', 'store.json')) as Store;
const hasFile = (host: TestHost, volume: string, path: string): boolean => {
  try {
    host.read(volume, path);
    return true;
  } catch {
    return false;
  }
};

/** What PostgreSQL's programs leave behind, in the folder that stands for the volume `db`. */
function scriptPostgres(host: TestHost): ProgramCall[] {
  const calls: ProgramCall[] = [];
  const script = (name: string, work: (call: ProgramCall) => void = () => undefined): void =>
    host.programs.script(name, call => {
      calls.push(call);
      work(call);
      return {};
    });
  for (const name of ['chown', 'pg_isready', 'pg_restore']) script(name);
  script('initdb', () => host.write('db', '17.new/PG_VERSION', '17\n'));
  script('postgres');
  script('pg_dump', () => host.write('main', 'dump/miniflux.dump', 'a dump'));
  return calls;
}

const names = (calls: readonly ProgramCall[]): string[] => calls.map(call => call.words[0] ?? '');

test('an install makes a database password of its own each time', async () => {
  const made: string[] = [];
  for (let round = 0; round < 2; round++) {
    await withHost(miniflux, async host => {
      await host.init('install');
      made.push(store(host).databasePassword);
    });
  }
  assert.match(made[0] ?? '', /^[A-Za-z0-9]{32}$/);
  assert.notEqual(made[0], made[1]);
});

test('data that was kept keeps its password through another install', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    const before = store(host);
    await host.init('install');
    assert.deepEqual(store(host), before);
  }));

test('the admin account is asked for, by a critical task, until it is chosen', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    await host.init();
    holds([...host.tasks.values()], [
      { replayId: 'miniflux:set-admin', packageId: 'miniflux', actionId: 'set-admin', severity: 'critical' },
    ]);
    await host.run('set-admin', admin);
    await host.until('the task is taken back', () => host.tasks.size === 0);
    await host.init();
    assert.equal(host.tasks.size, 0);
  }));

test('the task is created after the action it points at', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    assert.ok(host.names().indexOf('action.export') < host.names().indexOf('action.create-task'));
  }));

test('the chosen account is stored, without touching the database password', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    const before = store(host).databasePassword;
    holds(await host.run('set-admin', admin), { version: '1', result: { type: 'group' } });
    assert.deepEqual(store(host), { databasePassword: before, admin });
  }));

test('once chosen, the action is exported again as not available', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    await host.run('set-admin', admin);
    await host.until('it is exported again', () => host.asked('action.export').length === 2);
    holds(host.asked('action.export').at(-1), {
      metadata: { visibility: { disabled: 'The account “jo” was chosen. Change its password in Miniflux, under Settings.' } },
    });
  }));

test('the form offers a password, and refuses what Miniflux would', () =>
  withHost(miniflux, async host => {
    await host.init('install');
    holds((await host.form('set-admin')).spec, {
      username: { type: 'text', default: 'admin' },
      password: { type: 'text', masked: true, generate: { charset: 'a-z,A-Z,0-9', len: 24 } },
    });
    await assert.rejects(host.run('set-admin', { ...admin, password: 'short' }));
    await assert.rejects(host.run('set-admin', { ...admin, password: 'two\nlines of it' }));
    await assert.rejects(host.run('set-admin', { ...admin, username: '' }));
    assert.equal(store(host).admin, null);
  }));

test('the first start makes the cluster and the account, and only then serves', () =>
  withHost(miniflux, async host => {
    const calls = scriptPostgres(host);
    const settings: string[] = [];
    host.programs.script('miniflux', call => {
      calls.push(call);
      settings.push(readFileSync(join(call.root, call.words[2] ?? ''), 'utf8'));
      return {};
    });
    await host.init('install');
    await host.run('set-admin', admin);
    await host.start();
    await host.until('Miniflux serves', () => host.programs.running.length === 2);
    assert.deepEqual(names(calls).filter(name => name !== 'pg_isready'), ['chown', 'initdb', 'postgres', 'miniflux', 'miniflux']);
    assert.equal(host.read('db', '17/PG_VERSION'), '17\n');
    assert.match(settings[1] ?? '', /^ADMIN_USERNAME=jo\nADMIN_PASSWORD=long secret$/m);
    assert.equal(store(host).admin?.password, null, 'it is forgotten');
    const { databasePassword } = store(host);
    assert.match(host.read('main', 'settings/miniflux.conf'), new RegExp(`^DATABASE_URL=postgres://miniflux:${databasePassword}@127.0.0.1/`));
    const started = JSON.stringify(host.programs.argvs);
    assert.ok(!started.includes(databasePassword) && !started.includes(admin.password), 'no secret is an argument');
    await host.stop();
    calls.length = 0;
    await host.start();
    await host.until('Miniflux serves again', () => host.programs.running.length === 2);
    assert.deepEqual(names(calls).filter(name => name !== 'pg_isready'), ['miniflux'], 'what was made is not made again');
  }));

test('a backup holds a dump and no cluster, and a restore makes a cluster of it', () =>
  withHost(miniflux, async host => {
    const calls = scriptPostgres(host);
    await host.init('install');
    await host.backup();
    assert.deepEqual(names(calls), [], 'before the first start there is nothing to dump');

    host.write('db', '17/PG_VERSION', '17\n');
    await host.backup();
    assert.ok(names(calls).includes('pg_dump'));
    assert.ok(!hasFile(host, 'main', 'dump/miniflux.dump'), 'the dump is in the backup only');

    calls.length = 0;
    const before = store(host);
    host.write('main', 'store.json', '{}');
    await host.init('restore');
    assert.deepEqual(store(host), before);
    assert.deepEqual(names(calls).filter(name => name !== 'pg_isready'), ['chown', 'initdb', 'postgres', 'pg_restore']);
    assert.equal(host.read('db', '17/PG_VERSION'), '17\n');
    assert.ok(!hasFile(host, 'main', 'dump/miniflux.dump'));
    assert.equal(host.programs.running.length, 0, 'no server is left');
  }));

test('two images and a volume each are declared', () => {
  assert.deepEqual(Object.keys(miniflux.manifest.images), ['miniflux', 'postgres']);
  assert.deepEqual(miniflux.manifest.volumes, ['main', 'db']);
});
