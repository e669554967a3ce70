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

function start(members: string): ChildProcess {
  const path = writePackage(host.dir, members);
  child = spawn(process.execPath, [BUNDLE, host.socketPath, path], {
    env: { PATH: process.env['PATH'], LANG: 'de_DE.UTF-8', COPPICE_GENERATION: '3', COPPICE_BOOT: 'b' },
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

test('signals are ignored and the language is the one it was given', async () => {
  const running = start("actions: { get: () => ({ run: async () => [process.env.LANG, process.env.COPPICE_GENERATION ?? null] }) }");
  await host.must('init', { id: 'e', kind: null });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) running.kill(signal);
  const answer = await host.must('execute', { id: 'e', procedure: '/actions/x/run', input: {} });
  expect(answer).toEqual(['de_DE.UTF-8', null]);
  expect(host.hellos[0]).toMatchObject({ generation: 3, boot: 'b' });
});

test('exit is answered before the process ends with status 0', async () => {
  const running = start('');
  await host.must('init', { id: 'e', kind: null });
  const ended = once(running, 'exit');
  expect(await host.must('exit', { id: 'e', target: null })).toBeNull();
  expect(await ended).toEqual([0, null]);
});
