/** The package ABI, from the package's side of a real socket. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Connection } from '../src/connection.js';
import type { Effects } from '../src/effects.js';
import { runRuntime } from '../src/runtime.js';
import { FakeHost, Refusal, SILENCE, writePackage } from './fake-host.js';

interface Probe {
  effects: Effects;
  events: unknown[];
  [name: string]: unknown;
}

let host: FakeHost;
let connection: Connection | undefined;
let probe: Probe;
let exits: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  host = new FakeHost();
  exits = vi.fn<() => void>();
  probe = Object.assign(globalThis, { probe: { events: [] } }).probe as unknown as Probe;
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  vi.spyOn(console, 'warn').mockImplementation(() => undefined);
});

afterEach(async () => {
  await connection?.close();
  await host.close();
  vi.restoreAllMocks();
});

/** A runtime with a package of these exports. */
function run(members: string): void {
  connection = runRuntime({
    socket: host.socketPath,
    packagePath: writePackage(host.dir, members),
    identity: { build: '0', boot: 'boot', generation: 4 },
    sleepAfterMs: null,
    hasWork: () => false,
    onUp: () => undefined,
    onExit: exits,
  });
}

/** A package whose init keeps its effects. */
const KEEPS = 'init: async ({ effects, kind }) => { probe.effects = effects; probe.events.push(kind); }';

async function initialized(members = KEEPS): Promise<void> {
  run(members);
  await host.must('init', { id: 'e1', kind: null });
}

test('hello says who dials', async () => {
  await initialized();
  expect(host.hellos).toEqual([
    { protocol: 1, oldest: 1, role: 'runtime', build: '0', boot: 'boot', generation: 4 },
  ]);
});

test('the files beside the package resolve', async () => {
  writeFileSync(join(host.dir, 'beside.json'), '{"value": 7}');
  await initialized("init: async () => { probe.events.push(require('./beside.json').value, require('node:path').sep); }");
  expect(probe.events).toEqual([7, '/']);
});

test('effects list every member, can be spread, and keep what is assigned', async () => {
  await initialized();
  host.answer = () => '10.0.3.1';
  const spread = { ...probe.effects };
  expect(await spread.getOsIp()).toBe('10.0.3.1');
  expect(Object.keys(probe.effects)).toEqual(expect.arrayContaining(['eventId', 'child', 'constRetry', 'bind', 'plugin']));
  expect(Object.keys(probe.effects)).toHaveLength(42);
  const retry = (): void => undefined;
  probe.effects.constRetry = retry;
  expect(probe.effects.constRetry).toBe(retry);
});

test('every effect goes out under its own name with its parameters and the event id', async () => {
  await initialized();
  const { effects } = probe;
  await effects.bind({ id: 'main', addSsl: null });
  expect(host.last('bind')).toEqual({ id: 'main', addSsl: null, eventId: 'e1' });
  await effects.plugin.url.exportUrl({ removeAction: null });
  await effects.subcontainer.createFs({ imageId: 'main', name: null });
  await effects.getDataVersion();
  expect(host.methods()).toEqual(['bind', 'plugin.url.export-url', 'subcontainer.create-fs', 'get-data-version']);
  expect(host.last('get-data-version')).toEqual({ eventId: 'e1' });
});

test('a refused effect rejects with the text packages show', async () => {
  await initialized();
  const refuse = (data: unknown) => {
    host.answer = () => {
      throw new Refusal(6, 'Not Found', data);
    };
    return probe.effects.getOsIp();
  };
  await expect(refuse(undefined)).rejects.toThrow('Not Found@get-os-ip');
  await expect(refuse('no such thing')).rejects.toThrow('Not Found: no such thing@get-os-ip');
  await expect(refuse({ details: 'gone', debug: 'line 1', info: null })).rejects.toThrow('Not Found: gone\nline 1@get-os-ip');
});

test('a second child of the same name leaves the first one, grandchildren first', async () => {
  await initialized();
  const first = probe.effects.child('a');
  const grand = first.child('b');
  const order: string[] = [];
  first.onLeaveContext(() => order.push(`first ${String(first.isInContext)}`));
  first.onLeaveContext(() => {
    throw new Error('on purpose');
  });
  first.onLeaveContext(() => order.push('first again'));
  grand.onLeaveContext(() => order.push(`grand ${String(grand.isInContext)} ${String(first.isInContext)}`));
  const second = probe.effects.child('a');
  expect(order).toEqual(['grand false true', 'first false', 'first again']);
  expect([first.isInContext, grand.isInContext, second.isInContext]).toEqual([false, false, true]);
  expect(second.eventId).toBe('e1');
  first.onLeaveContext(() => order.push('too late'));
  expect(console.warn).toHaveBeenCalledOnce();
});

test('a child does not inherit constRetry, and leaving takes it away', async () => {
  await initialized();
  probe.effects.constRetry = () => undefined;
  const child = probe.effects.child('a');
  expect(child.constRetry).toBeUndefined();
  child.constRetry = () => undefined;
  probe.effects.child('a');
  expect(child.constRetry).toBeUndefined();
});

test('a callback is delivered at most once, and its next registration again', async () => {
  await initialized();
  const fired = vi.fn();
  await probe.effects.getHostInfo({ hostId: 'main', callback: fired });
  expect(host.last('get-host-info')).toEqual({ hostId: 'main', callback: 1, eventId: 'e1' });
  host.fire(1);
  host.fire(1);
  host.fire(99);
  await probe.effects.getStatus({ callback: fired });
  expect(fired).toHaveBeenCalledTimes(1);
  expect(host.last('get-status')).toEqual({ callback: 2, eventId: 'e1' });
  host.fire(2);
  await probe.effects.getOsIp();
  expect(fired).toHaveBeenCalledTimes(2);
});

test('a callback that fires before the read is answered is delivered', async () => {
  await initialized();
  const fired = vi.fn();
  host.answer = call => {
    host.fire(call.params['callback']);
    return null;
  };
  await probe.effects.getSystemSmtp({ callback: fired });
  expect(fired).toHaveBeenCalledOnce();
});

test('a read without a callback says null, and so does one where nothing could be delivered', async () => {
  await initialized();
  await probe.effects.getContainerIp({});
  expect(host.last('get-container-ip')['callback']).toBeNull();
  const left = probe.effects.child('a');
  probe.effects.child('a');
  await left.getContainerIp({ callback: () => undefined });
  expect(host.last('get-container-ip')['callback']).toBeNull();
});

test('leaving a context drops its callbacks here and at the host', async () => {
  await initialized();
  const fired = vi.fn();
  const child = probe.effects.child('a');
  await child.getStatus({ callback: fired });
  await child.getStatus({ callback: fired });
  await probe.effects.getStatus({ callback: fired });
  host.fire(1);
  await probe.effects.getOsIp();
  probe.effects.child('a');
  await host.until(() => host.methods().includes('clear-callbacks'));
  expect(host.last('clear-callbacks')).toEqual({ only: [2] });
  host.fire(2);
  host.fire(3);
  await probe.effects.getOsIp();
  expect(fired).toHaveBeenCalledTimes(2);
});

test('init runs once, however often it is asked, and not at all after it succeeded', async () => {
  run(`${KEEPS.replace('probe.events', "await new Promise(r => setImmediate(r)); probe.events")}`);
  await Promise.all([
    host.must('init', { id: 'a', kind: 'install' }),
    host.must('init', { id: 'b', kind: null }),
  ]);
  await host.must('init', { id: 'c', kind: 'update' });
  expect(probe.events).toEqual(['install']);
});

test('a failed init says why and may be tried again', async () => {
  run("init: async () => { if (probe.events.push('try') === 1) throw new Error('no disk'); }");
  const outcome = await host.ask('init', { id: 'a', kind: null });
  expect(outcome).toMatchObject({ error: { code: 1, message: 'no disk', data: { details: 'no disk' } } });
  expect(await host.ask('start')).toMatchObject({ error: { message: 'System not initialized' } });
  await host.must('init', { id: 'b', kind: null });
  expect(probe.events).toHaveLength(2);
});

test('a package that cannot be loaded, or is none, is told from one that fails', async () => {
  run("main: 'nothing'");
  expect(await host.ask('init', { id: 'a', kind: null })).toMatchObject({
    error: { message: expect.stringContaining('does not export a function `main`') as unknown },
  });
});

const MAIN = `main: async ({ effects }) => { probe.effects = effects; probe.events.push('main'); return {
    build: async () => { probe.events.push('build'); await probe.gate; return {
      term: async () => { probe.events.push('term'); await probe.termGate; } } } } }`;

test('start answers when main is built, and starting a running service does nothing', async () => {
  let open = (): void => undefined;
  probe['gate'] = new Promise<void>(resolve => (open = resolve));
  await initialized(MAIN);
  let built = false;
  const first = host.must('start').then(() => (built = true));
  const second = host.must('start');
  await host.must('init', { id: 'x', kind: null });
  expect(built).toBe(false);
  open();
  await Promise.all([first, second]);
  await host.must('start');
  expect(probe.events).toEqual(['main', 'build']);
  expect(probe.effects.eventId).toBeNull();
});

test('stop leaves the context of main before term is called, and again does nothing', async () => {
  await initialized(MAIN);
  await host.must('start');
  const { effects } = probe;
  effects.onLeaveContext(() => probe.events.push(`left ${String(effects.isInContext)}`));
  await host.must('stop');
  await host.must('stop');
  expect(probe.events).toEqual(['main', 'build', 'left false', 'term']);
  await host.must('start');
  expect(probe.events.slice(4)).toEqual(['main', 'build']);
});

test('stop during start ends what is being built, and the next start begins anew', async () => {
  let open = (): void => undefined;
  probe['gate'] = new Promise<void>(resolve => (open = resolve));
  await initialized(MAIN);
  const start = host.ask('start');
  const stop = host.must('stop');
  const again = host.must('start');
  open();
  expect(await start).toMatchObject({ error: { message: 'stopped while starting' } });
  await stop;
  await again;
  expect(probe.events).toEqual(['main', 'build', 'term', 'main', 'build']);
});

test('a main that fails to start may be started again, a term that fails counts as ended', async () => {
  await initialized(`main: async () => {
    if (probe.events.push('main') === 1) throw new Error('port taken');
    return { build: async () => ({ term: async () => { throw new Error('stuck'); } }) }; }`);
  expect(await host.ask('start')).toMatchObject({ error: { message: 'port taken' } });
  await host.must('start');
  expect(await host.ask('stop')).toMatchObject({ error: { message: 'stuck' } });
  await host.must('stop');
  await host.must('start');
  expect(probe.events).toHaveLength(3);
});

test('constRetry of main asks for one restart, and none after the context was left', async () => {
  await initialized(MAIN);
  await host.must('start');
  const retry = probe.effects.constRetry;
  retry?.();
  retry?.();
  await host.until(() => host.methods().includes('restart'));
  await host.must('stop');
  await host.must('start');
  const late = probe.effects.constRetry;
  await host.must('stop');
  late?.();
  await host.must('init', { id: 'x', kind: null });
  expect(host.methods().filter(method => method === 'restart')).toHaveLength(1);
});

test('exit ends main, tells uninit the target as an object, answers, and ends the process', async () => {
  await initialized(`${MAIN}, uninit: async ({ effects, target }) => {
    effects.onLeaveContext(() => {});
    const child = effects.child('a');
    probe.events.push(effects.isInContext, child.isInContext, effects.eventId, target);
    await effects.getStatus({ callback: () => {} }); }`);
  await host.must('start');
  expect(await host.must('exit', { id: 'e9', target: '1.2.3:0' })).toBeNull();
  const [inContext, childInContext, eventId, target] = probe.events.slice(3);
  expect([inContext, childInContext, eventId]).toEqual([false, false, 'e9']);
  expect(target).toHaveProperty('satisfies');
  expect(probe.events[2]).toBe('term');
  expect(host.last('get-status')['callback']).toBeNull();
  await vi.waitFor(() => expect(exits).toHaveBeenCalledOnce());
});

test.each([
  [null, null],
  ['1.2.3:0', 'satisfies'],
  ['#bitcoin:1.2.3:0', 'satisfies'],
  ['>=1.0:0 && <2.0:0', 'satisfiedBy'],
  ['*', 'satisfiedBy'],
])('the target %j becomes what packages look for', async (text, method) => {
  await initialized('uninit: async ({ target }) => { probe.events.push(target); }');
  await host.must('exit', { id: 'e', target: text });
  const target: unknown = probe.events[0];
  if (method === null) expect(target).toBeNull();
  else expect(typeof Reflect.get(Object(target), method)).toBe('function');
});

test('an uninit that fails is answered and the process lives on', async () => {
  await initialized("uninit: async () => { throw new Error('not now'); }");
  expect(await host.ask('exit', { id: 'e', target: null })).toMatchObject({ error: { message: 'not now' } });
  expect(await host.ask('exit', { id: 'e', target: 'no version' })).toHaveProperty('error');
  await host.must('start');
  expect(exits).not.toHaveBeenCalled();
});

const ACTION = `actions: { get: id => id !== 'greet' ? undefined : {
    getInput: async ({ effects, prefill }) => { probe.events.push(['input', effects.eventId, prefill]); return { eventId: effects.eventId, spec: {}, value: null }; },
    run: async ({ effects, input }) => { probe.effects = effects; probe.events.push(['run', effects.eventId, input]); return null; } } },
  createBackup: async ({ effects }) => { probe.events.push(['backup', effects.eventId]); }`;

test('procedures reach their function with their input and event id', async () => {
  await initialized(ACTION);
  const execute = (procedure: string, input: unknown) =>
    host.must('execute', { id: 'ev', procedure, input, timeout: 30_000 });
  expect(await execute('/actions/greet/getInput', { prefill: { a: 1 } })).toEqual({ eventId: 'ev', spec: {}, value: null });
  expect(await execute('/actions/greet/getInput', { prefill: null })).toHaveProperty('eventId');
  expect(await execute('/actions/greet/run', { input: { b: 2 } })).toBeNull();
  expect(await execute('/backup/create', null)).toBeNull();
  expect(probe.events).toEqual([
    ['input', 'ev', { a: 1 }],
    ['input', 'ev', null],
    ['run', 'ev', { b: 2 }],
    ['backup', 'ev'],
  ]);
});

test('the context of a procedure lasts until the procedure runs again', async () => {
  await initialized(ACTION);
  const execute = (id: string) => host.must('execute', { id, procedure: '/actions/greet/run', input: {} });
  await execute('a');
  const { effects } = probe;
  expect(effects.isInContext).toBe(true);
  await execute('b');
  expect(effects.isInContext).toBe(false);
});

test('a failing procedure answers with its own words and code', async () => {
  await initialized(`actions: { get: () => ({ run: async ({ input }) => { throw eval(input); } }) }`);
  const run = (input: string) => host.ask('execute', { id: 'e', procedure: '/actions/x/run', input: { input } });
  expect(await run("({ error: 'no money', code: 77 })")).toEqual({ error: { code: 77, message: 'no money' } });
  expect(await run("({ error: 'no money' })")).toEqual({ error: { code: 0, message: 'no money' } });
  expect(await run("new Error('odd')")).toEqual({ error: { code: 0, message: 'Error: odd' } });
  expect(await host.ask('execute', { id: 'e', procedure: '/nothing', input: null })).toHaveProperty('error');
  expect(await host.ask('eval', { script: '1' })).toMatchObject({ error: { code: -32601 } });
  expect(await host.ask('init', { kind: 'sideways' })).toMatchObject({ error: { code: -32602 } });
});

test('an effect in flight is asked again, under the same id, when the host is back', async () => {
  await initialized();
  host.answer = () => SILENCE;
  const first = probe.effects.getOsIp();
  await host.until(() => host.calls.length === 1);
  await host.die();
  const whileAway = probe.effects.getDataVersion();
  host.answer = call => call.method;
  host.listen();
  expect(await Promise.all([first, whileAway])).toEqual(['get-os-ip', 'get-data-version']);
  const asked = host.calls.filter(call => call.method === 'get-os-ip').map(call => call.id);
  expect(asked).toHaveLength(2);
  expect(asked[0]).toBe(asked[1]);
  expect(host.hellos).toHaveLength(2);
});

test('a host that comes back, which may be a new one, is told again: callbacks fire once, health is repeated', async () => {
  await initialized();
  const fired = vi.fn();
  await probe.effects.getStatus({ callback: fired });
  await probe.effects.setHealth({ id: 'web', name: 'Web', result: 'success', message: null });
  await host.die();
  expect(fired).not.toHaveBeenCalled();
  host.listen();
  await host.until(() => host.calls.filter(call => call.method === 'set-health').length === 2);
  expect(fired).toHaveBeenCalledOnce();
  host.fire(1);
  await probe.effects.getOsIp();
  expect(fired).toHaveBeenCalledOnce();
});

test('garbage from the host costs nothing, a line without end costs the connection', async () => {
  await initialized();
  host.write('garbage\n{"jsonrpc":"2.0"}\n[]\n\n{"jsonrpc":"2.0","id":77,"result":1}\n');
  await probe.effects.getOsIp();
  host.write('x'.repeat(5 * 1024 * 1024));
  await host.until(() => host.hellos.length === 2);
  await probe.effects.getOsIp();
});

test('parameters over the limit are refused before they are sent', async () => {
  await initialized();
  await expect(probe.effects.setHealth({ message: 'x'.repeat(5_000_000) })).rejects.toThrow('set-health');
});

test('a real SDK range takes part in a real SDK comparison', async () => {
  await initialized('uninit: async ({ target }) => { probe.events.push(target); }');
  await host.must('exit', { id: 'e', target: '>=1.0:0 && <2.0:0' });
  const require = createRequire(import.meta.url);
  const sdk: unknown = require('@start9labs/start-sdk/node_modules/@start9labs/start-core/exver/index.js');
  const version: unknown = Reflect.get(Object(Reflect.get(Object(sdk), 'ExtendedVersion')), 'parse').call(null, '1.5:0');
  expect(Reflect.get(Object(probe.events[0]), 'satisfiedBy').call(probe.events[0], version)).toBe(true);
});
