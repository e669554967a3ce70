/** A bundle of this SDK in the runtime that services really run in, against a host behind a socket. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FakeHost } from '../../../container-runtime/runtime/test/fake-host.js';
import { runRuntime } from '../../../container-runtime/runtime/src/runtime.js';
import { bundle } from '../src/bin/bundle.js';
import { checkBundle } from '../src/bin/check.js';

/** The effects that every host answers: `service-abi`, 5.1. */
const EFFECTS = `clear-callbacks action.export action.clear action.get-input action.run action.create-task action.clear-tasks
  restart shutdown get-status set-main-status set-dependencies get-dependencies check-dependencies mount
  get-installed-packages get-service-manifest set-backup-progress set-init-progress set-health notification.create
  subcontainer.create-fs subcontainer.destroy-fs bind bind-range get-service-port-forward clear-bindings get-host-info
  get-container-ip get-os-ip get-outbound-gateway export-service-interface export-range-service-interface
  get-service-interface list-service-interfaces clear-service-interfaces plugin.url.register plugin.url.export-url
  plugin.url.clear-urls get-ssl-certificate get-ssl-key set-data-version get-data-version get-system-smtp`.split(/\s+/);

let host: FakeHost;
let javascript: string;

beforeEach(async () => {
  host = new FakeHost();
  javascript = join(host.dir, 'javascript');
  await bundle(resolve(import.meta.dirname, 'fixture.ts'), javascript);
  for (const folder of ['volumes/main', 'images']) mkdirSync(join(host.dir, folder), { recursive: true });
  writeFileSync(join(host.dir, 'images/hello.json'), '{"workdir":"/","user":"root","entrypoint":["/hello"],"cmd":null}');
  process.env['COPPICE_SDK_MEDIA'] = host.dir;
});

afterEach(async () => {
  delete process.env['COPPICE_SDK_MEDIA'];
  await host.close();
  rmSync(javascript, { recursive: true, force: true });
});

it('lives through install, a form, a start, a stop, a backup hook and an uninstall', async () => {
  expect(EFFECTS).toHaveLength(44);
  const runtime = runRuntime({
    socket: host.socketPath,
    packagePath: join(javascript, 'index.js'),
    identity: { build: 'test', boot: 'test', generation: null },
    sleepAfterMs: null,
    hasWork: () => false,
    onUp: () => undefined,
    onExit: () => undefined,
  });
  try {
    await host.must('init', { id: 'a', kind: 'install' });
    expect(host.methods().sort()).toEqual([
      'action.clear',
      'action.clear-tasks',
      'action.create-task',
      'action.export',
      'bind',
      'clear-bindings',
      'clear-service-interfaces',
      'export-service-interface',
      'get-data-version',
      'set-data-version',
      'set-dependencies',
    ]);
    expect(host.last('bind')).toMatchObject({ eventId: 'a', id: 'ui', internalPort: 8080 });
    const form = await host.must('execute', { id: 'b', procedure: '/actions/set-greeting/getInput', input: { prefill: null } });
    expect(form).toMatchObject({ eventId: 'b', value: { greeting: 'Hello' }, spec: { greeting: { type: 'text' } } });
    await host.must('start');
    expect(host.last('set-daemons')).toMatchObject({
      daemons: [{ id: 'server', command: ['/hello'], image: { id: 'hello' }, ready: { name: 'Page', port: 8080 } }],
    });
    const done = await host.must('execute', { id: 'b', procedure: '/actions/set-greeting/run', input: { input: { greeting: 'Hi' } } });
    expect(done).toMatchObject({ version: '1', message: 'Hi' });
    await host.until(() => host.methods().includes('restart'));
    const refused = await host.ask('execute', { id: 'b', procedure: '/actions/set-greeting/run', input: { input: { greeting: '' } } });
    expect(refused).toMatchObject({ error: { message: expect.stringContaining('Greeting: is needed') } });
    await host.must('stop');
    await host.must('exit', { id: 'c', target: null });
    expect(host.last('set-data-version')).toMatchObject({ version: null });
    for (const method of new Set(host.methods())) expect([...EFFECTS, 'set-daemons']).toContain(method);
  } finally {
    await runtime.close();
  }
});

it('its bundle needs nothing but Node, and passes the check that a build ends with', () => {
  expect(checkBundle(javascript)).toEqual([]);
  const loaded: Record<string, unknown> = createRequire(import.meta.url)(join(javascript, 'index.js'));
  for (const name of ['init', 'uninit', 'main', 'createBackup', 'actions', 'manifest']) expect(loaded).toHaveProperty(name);
});

it.each([
  ['throw new Error("two ports are the same")', 'the bundle cannot be loaded: two ports are the same'],
  ['module.exports = {}', 'it does not export the function `main`'],
  ['module.exports = { manifest: { id: "a", version: "1.0" } }', '`1.0` is not a version'],
  ['require("left-pad")', "Cannot find module 'left-pad'"],
])('the check says what is wrong with `%s`', (code, words) => {
  const folder = join(host.dir, 'broken');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.js'), code);
  expect(checkBundle(folder).join('\n')).toContain(words);
});
