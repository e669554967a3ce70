/** The bundle as a process: what only a process can show. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { FakeHost, writePackage } from './fake-host.js';

const BUNDLE = fileURLToPath(new URL('../dist/index.js', import.meta.url));
let host: FakeHost;
let child: ChildProcess | undefined;
let stderr = '';

beforeEach(() => {
  host = new FakeHost();
  stderr = '';
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await host.close();
});

const SOON = { COPPICE_SLEEP_AFTER_MS: '50' };

function start(members: string, more: Record<string, string> = {}): ChildProcess {
  const path = writePackage(host.dir, members);
  child = spawn(process.execPath, [BUNDLE, host.socketPath, path], {
    env: { PATH: process.env['PATH'], LANG: 'de_DE.UTF-8', COPPICE_GENERATION: '3', COPPICE_BOOT: 'b', ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  return child;
}

test('a rejection nobody handles is logged and the service lives on', async () => {
  start(`init: async () => {
    Promise.reject(new Error('left alone'));
    Promise.reject(Object.assign(new Error('muted one'), { muteUnhandled: true }));
  }`);
  await host.must('init', { id: 'e', kind: null });
  await host.must('start');
  expect(stderr).toContain('left alone');
  expect(stderr).not.toContain('muted one');
});

test('signals are ignored, and of its environment the package sees the language', async () => {
  const ours = { NODE_COMPILE_CACHE: host.dir, GLIBC_TUNABLES: 'glibc.malloc.mmap_threshold=32768', ...SOON };
  const running = start('actions: { get: () => ({ run: async () => Object.keys(process.env).concat(process.env.LANG) }) }', ours);
  await host.must('init', { id: 'e', kind: null });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) running.kill(signal);
  const answer = await host.must('execute', { id: 'e', procedure: '/actions/x/run', input: {} });
  expect(answer).toEqual(['PATH', 'LANG', 'de_DE.UTF-8']);
  expect(host.hellos[0]).toMatchObject({ generation: 3, boot: 'b' });
});

test('exit is answered before the process ends with status 0', async () => {
  const running = start('');
  await host.must('init', { id: 'e', kind: null });
  const ended = once(running, 'exit');
  expect(await host.must('exit', { id: 'e', target: null })).toBeNull();
  expect(await ended).toEqual([0, null]);
});

/** A package that has `work` begin in its `main`, and some time later ended; it then tells the host. */
const working = (work: string, isHeldByHost = true): string => `main: async ({ effects }) => {
  const work = ${work};
  setTimeout(() => { work.end(); effects.getOsIp(); }, 500).unref();
  return { build: async () => ({ isHeldByHost: ${String(isHeldByHost)}, term: async () => {} }) };
}`;

test.each([
  ['a file watch', "(w => ({ end: () => w.close() }))(require('node:fs').watch('.'))"],
  ['a timer', '(t => ({ end: () => clearInterval(t) }))(setInterval(() => {}, 60_000))'],
  ['a child', "(c => ({ end: () => c.kill() }))(require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' }))"],
  ['a server', "(s => ({ end: () => s.close() }))(require('node:http').createServer().listen(0, '127.0.0.1'))"],
  ['something to clean up', "(effects.child('x').onLeaveContext(() => {}), { end: () => effects.child('x') })"],
])('%s keeps it awake, and without it is put to sleep', async (_, work) => {
  host.answer = ({ method }) => (method === 'fall-asleep' ? true : null);
  const running = start(working(work), SOON);
  const ended = once(running, 'exit');
  await host.must('init', { id: 'e', kind: null });
  await host.must('start');
  expect(await ended).toEqual([0, null]);
  expect(host.methods()).toEqual(['get-os-ip', 'fall-asleep']);
  expect(host.last('fall-asleep')).toEqual({ generation: 3 });
});

test('it stays when it may not sleep yet, and asks again', async () => {
  const answers = [false, true];
  host.answer = ({ method }) => (method === 'fall-asleep' ? answers.shift() : null);
  const running = start(working('{ end: () => {} }'), SOON);
  const ended = once(running, 'exit');
  await host.must('init', { id: 'e', kind: null });
  await host.must('start');
  expect(await ended).toEqual([0, null]);
  expect(host.methods().filter(method => method === 'fall-asleep')).toHaveLength(2);
});

test.each([
  ['a package that runs something itself', false, SOON],
  ['one on a host that says no time', true, {}],
])('%s never sleeps', async (_, isHeldByHost, more) => {
  const running = start(working('{ end: () => {} }', isHeldByHost), more);
  const ended = once(running, 'exit');
  await host.must('init', { id: 'e', kind: null });
  await host.must('start');
  await host.until(() => host.methods().includes('get-os-ip'));
  await host.must('exit', { id: 'e', target: null });
  await ended;
  expect(host.methods()).toEqual(['get-os-ip']);
});
