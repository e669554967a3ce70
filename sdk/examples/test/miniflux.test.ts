import assert from 'node:assert/strict';
import { setTimeout as later } from 'node:timers/promises';
import { test } from 'node:test';
import { holds } from './holds.js';
import { Host, load } from './host.js';

const miniflux = load('miniflux');
const admin = { username: 'jo', password: 'long secret' };

interface Store {
  databasePassword: string;
  admin: { username: string; password: string | null } | null;
}
const store = (host: Host): Store => JSON.parse(host.read('main', 'store.json')) as Store;

test('an install makes a database password of its own each time', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  const first = store(host).databasePassword;
  assert.match(first, /^[A-Za-z0-9]{32}$/);
  const other = new Host(miniflux);
  await other.init('install');
  assert.notEqual(store(other).databasePassword, first);
});

test('every init asks for the admin account, by a critical task, until it is chosen', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  await host.init(null);
  const asked = host.asked('action.create-task');
  assert.equal(asked.length, 2);
  holds(asked[0], {
    replayId: 'miniflux:set-admin',
    packageId: 'miniflux',
    actionId: 'set-admin',
    severity: 'critical',
  });
  await host.run('set-admin', admin);
  await host.init(null);
  assert.equal(host.asked('action.create-task').length, 2);
});

test('the task is created after the action it points at', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  const names = host.names();
  assert.ok(names.indexOf('action.export') < names.indexOf('action.create-task'));
});

test('the chosen account is stored, without touching the database password', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  const before = store(host).databasePassword;
  const result = await host.run('set-admin', admin);
  assert.deepEqual(store(host), { databasePassword: before, admin });
  holds(result, { version: '1', result: { type: 'group' } });
});

test('once chosen, the action is exported again as not available', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  const ends = Date.now() + 5_000;
  await host.run('set-admin', admin);
  const visibility = (): unknown => {
    const last = host.asked('action.export').at(-1) as { metadata: { visibility: unknown } };
    return last.metadata.visibility;
  };
  // The file watcher of the SDK tells nobody when it has looked, so this asks until it has.
  while (visibility() === 'enabled' && Date.now() < ends) await later(20);
  assert.deepEqual(visibility(), {
    disabled: 'The account “jo” was chosen. Change its password in Miniflux, under Settings.',
  });
});

test('the form offers a password, and refuses what Miniflux would', async () => {
  const host = new Host(miniflux);
  await host.init('install');
  const form = await miniflux.actions.get('set-admin')?.getInput({ effects: host.effects('form'), prefill: null });
  holds(form?.spec, {
    username: { type: 'text', default: 'admin' },
    password: { type: 'text', masked: true, generate: { charset: 'a-z,A-Z,0-9', len: 24 } },
  });
  await assert.rejects(host.run('set-admin', { ...admin, password: 'short' }));
  await assert.rejects(host.run('set-admin', { ...admin, password: 'two\nlines of it' }));
  await assert.rejects(host.run('set-admin', { ...admin, username: '' }));
  assert.equal(store(host).admin, null);
});

test('two images and a volume each are declared', () => {
  assert.deepEqual(Object.keys(miniflux.manifest.images), ['miniflux', 'postgres']);
  assert.deepEqual(miniflux.manifest.volumes, ['main', 'db']);
});
