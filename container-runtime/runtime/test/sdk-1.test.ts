/** A package that SDK 1.x has bundled, on the runtime as it is shipped: what differs of it in the contract (§0.3). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FakeHost, type EffectCall } from './fake-host.js';

const RUNTIME = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const BUNDLE = fileURLToPath(new URL('sdk-1', import.meta.url));
const UI = { id: 'ui', name: 'The page' };

let host: FakeHost;
let folder: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  host = new FakeHost();
  host.answer = answer;
  folder = join(host.dir, 'package');
  cpSync(BUNDLE, folder, { recursive: true });
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await host.close();
});

function answer({ method }: EffectCall): unknown {
  if (method === 'get-service-interface') return UI;
  return method === 'list-service-interfaces' ? { ui: UI } : null;
}

function run(): void {
  child = spawn(process.execPath, [RUNTIME, host.socketPath, join(folder, 'index.js')], {
    env: { PATH: process.env['PATH'], SUNDIAL_LISTENS_ON: '0' },
    stdio: 'ignore',
  });
}

async function initialized(): Promise<void> {
  run();
  await host.must('init', { id: 'e', kind: 'install' });
}

test('a bundle of two files is loaded, initialised and run, and says itself that it runs', async () => {
  await initialized();
  expect(host.methods().slice(0, 4)).toEqual(['get-data-version', 'set-data-version', 'bind', 'export-service-interface']);
  expect(host.methods()).not.toContain('set-init-progress');
  await host.must('start');
  expect(host.last('set-main-status')).toEqual({ status: 'running' });
  expect(host.last('set-health')).toMatchObject({ id: 'web', result: 'success' });
  await host.must('stop');
  expect(host.last('set-main-status')).toEqual({ status: 'stopped' });
});

test('without its second file it is not loaded, and the reason names the file', async () => {
  rmSync(join(folder, 'index.cjs'));
  run();
  const outcome = await host.ask('init', { id: 'e', kind: null });
  expect(outcome).toMatchObject({ error: { message: expect.stringContaining('index.cjs') as unknown } });
});

test('the one value of its task goes to the host as it is', async () => {
  await initialized();
  expect(host.last('action.create-task')['input']).toEqual({ kind: 'partial', value: { name: 'Gnomon' } });
});

test('it reads interfaces by their id, and again when what it waits for has fired', async () => {
  await initialized();
  expect(host.last('get-service-interface')).toEqual({ serviceInterfaceId: 'ui', callback: 1, eventId: 'e' });
  expect(host.last('list-service-interfaces')).toEqual({ packageId: 'sundial', callback: 2, eventId: 'e' });
  const read = (): number => host.methods().filter(method => method === 'list-service-interfaces').length;
  host.fire(1);
  host.fire(2);
  await host.until(() => read() === 2);
  const once = { one: 'The page', all: ['ui'] };
  const seen = { version: '0', message: JSON.stringify([once, once]), value: null, copyable: false, qr: false };
  // What was read last may still be on its way.
  await expect.poll(() => host.must('execute', { id: 'f', procedure: '/actions/see/run', input: {} })).toEqual(seen);
});

test('a package.json above that says module keeps it from loading, and that is said', async () => {
  // As in the author's project; in the container nothing of the kind is above it.
  writeFileSync(join(host.dir, 'package.json'), '{ "type": "module" }');
  run();
  const outcome = await host.ask('init', { id: 'e', kind: null });
  expect(outcome).toMatchObject({ error: { message: expect.stringContaining('could not be loaded') as unknown } });
});
