import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds } from './holds.js';
import { Host, load } from './host.js';

const hello = load('hello');

test('an install declares the page and the action, and prunes what a former version declared', async () => {
  const host = new Host(hello);
  await host.init('install');
  assert.deepEqual(host.names().slice(0, 2), ['get-data-version', 'set-data-version']);
  // What does not need each other is asked at once, in no order.
  assert.deepEqual(host.names().slice(2).sort(), [
    'action.clear',
    'action.export',
    'bind',
    'clear-bindings',
    'clear-service-interfaces',
    'export-service-interface',
    'set-dependencies',
  ]);
  assert.deepEqual(host.asked('set-data-version'), [{ version: '1.0.0:0' }]);
  holds(host.asked('bind'), [{ id: 'ui', internalPort: 8080, secure: null }]);
  holds(host.asked('export-service-interface'), [{ id: 'ui', type: 'ui' }]);
  assert.deepEqual(host.asked('clear-bindings'), [{ except: [{ id: 'ui', internalPort: 8080 }] }]);
  assert.deepEqual(host.asked('action.clear'), [{ except: ['set-greeting'] }]);
});

test('an install writes the default greeting, and a later init keeps the chosen one', async () => {
  const host = new Host(hello);
  await host.init('install');
  assert.equal(host.read('main', 'hello.conf'), 'greeting=Hello from Coppice\n');
  await host.run('set-greeting', { greeting: 'Good morning = good day' });
  await host.init(null);
  assert.equal(host.read('main', 'hello.conf'), 'greeting=Good morning = good day\n');
});

test('the form of the action shows the greeting that is set', async () => {
  const host = new Host(hello);
  await host.init('install');
  await host.run('set-greeting', { greeting: 'Hi' });
  const form = await hello.actions.get('set-greeting')?.getInput({ effects: host.effects('form'), prefill: null });
  assert.deepEqual(form?.value, { greeting: 'Hi' });
});

test('a greeting of two lines is refused and changes nothing', async () => {
  const host = new Host(hello);
  await host.init('install');
  await assert.rejects(host.run('set-greeting', { greeting: 'Hi\ngreeting=Ho' }));
  assert.equal(host.read('main', 'hello.conf'), 'greeting=Hello from Coppice\n');
});

test('a settings file broken by hand is mended', async () => {
  const host = new Host(hello);
  host.write('main', 'hello.conf', 'gibberish\n');
  await host.init(null);
  assert.match(host.read('main', 'hello.conf'), /^greeting=Hello from Coppice$/m);
});

test('the server is handed to Coppice as data, and a changed greeting asks for a restart', async () => {
  const host = new Host(hello);
  await host.init('install');
  await host.running(async () => {
    holds(host.asked('set-daemons'), [
      {
        daemons: [
          {
            id: 'server',
            command: ['/usr/bin/hello', '/data/hello.conf'],
            cwd: '/',
            image: { id: 'hello', user: 'hello', mounts: [{ volume: 'main', mountpoint: '/data', readonly: true }] },
          },
        ],
      },
    ]);
    await host.run('set-greeting', { greeting: 'Hi' });
    await host.until(() => host.restarts === 1);
  });
});

test('an uninstall forgets the data version', async () => {
  const host = new Host(hello);
  await host.init('install');
  await hello.uninit({ effects: host.effects('uninit'), target: null });
  assert.deepEqual(host.asked('set-data-version').at(-1), { version: null });
});
