import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds } from './holds.js';
import { Host, load } from './host.js';

const syncthing = load('syncthing');

test('the web UI gets TLS from the host, the port for devices is opened as it is', async () => {
  const host = new Host(syncthing);
  await host.init('install');
  holds(host.asked('bind'), [
    { id: 'ui', internalPort: 8384, secure: null, addSsl: { scheme: 'https' } },
    { id: 'sync', internalPort: 22000, preferredExternalPort: 22000, secure: { ssl: false }, addSsl: null },
  ]);
  holds(host.asked('export-service-interface'), [
    { id: 'ui', type: 'ui' },
    { id: 'sync', type: 'p2p', addressInfo: { hostId: 'sync', internalPort: 22000, scheme: 'tcp' } },
  ]);
});

test('the login made at install is shown by the action and survives later inits', async () => {
  const host = new Host(syncthing);
  await host.init('install');
  const login = host.read('main', 'login.json');
  await host.init('update');
  await host.init(null);
  assert.equal(host.read('main', 'login.json'), login);
  const { password } = JSON.parse(login) as { password: string };
  assert.match(password, /^[A-Za-z0-9]{24}$/);
  holds(await host.run('show-login', null), {
    result: { type: 'group', value: [{ value: 'admin' }, { value: password, masked: true }] },
  });
});
