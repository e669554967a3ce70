import { describe, expect, it } from 'vitest';
import { RpcError, UnreachableError } from '../api/rpc';
import type { Cause, RestartRecord } from '../api/schema';
import { action, entry } from '../testing/sample';
import { actionGroups } from './actions';
import { controls } from './controls';
import { loginSentence } from './errors';
import { localeText } from './locale';
import { bytes, progressLook } from './progress';
import { restartStories, restartStory } from './restarts';
import { openTasks } from './tasks';
import { ago, uptime } from './time';

const now = Date.parse('2026-03-05T12:00:00Z');
const before = (ms: number) => new Date(now - ms).toISOString();

describe('uptime', () => {
  it.each([
    [20_000, 'under a minute'],
    [5 * 60_000, '5 min'],
    [2 * 3_600_000, '2 h'],
    [3 * 3_600_000 + 12 * 60_000, '3 h 12 min'],
    [(4 * 24 + 2) * 3_600_000, '4 d 2 h'],
  ])('after %d ms reads %s', (ms, words) => expect(uptime(before(ms), now)).toBe(words));
  it('is left out when the start is not a time', () => expect(uptime('soon', now)).toBeNull());
  it('of something that just happened is "just now"', () => expect(ago(before(500), now)).toBe('just now'));
});

describe('the buttons', () => {
  const labels = (status: Record<string, unknown>, over: Record<string, unknown> = {}) =>
    controls(entry(over, status)).map(c => c.label);
  it('offer Start when stopped', () => expect(labels({ desired: { main: 'stopped' } })).toEqual(['Start']));
  it('offer Stop and Restart when it should run, up or not', () => {
    expect(labels({ desired: { main: 'running' } })).toEqual(['Stop', 'Restart']);
    expect(labels({ desired: { main: 'restarting' } })).toEqual(['Stop', 'Restart']);
  });
  it('offer nothing during a backup', () => expect(labels({ desired: { main: 'backing-up' } })).toEqual([]));
  it('say why Start is off while a required task is open', () => {
    const tasks = { a: { active: true, task: { packageId: 'hello', actionId: 'x', severity: 'critical' } } };
    expect(controls(entry({ tasks }))[0]?.blocked).toBe('Finish the required task first.');
  });
});

describe('actions', () => {
  const actions = {
    z: action({ name: 'Zap', group: 'Danger', visibility: { disabled: 'Not on this machine.' } }),
    h: action({ name: 'Secret', visibility: 'hidden' }),
    b: action({ name: 'Backup now', allowedStatuses: 'only-running' }),
    a: action({ name: 'Add user', allowedStatuses: 'only-stopped' }),
  };
  it('are grouped, ungrouped first, hidden left out, blocked with the reason', () => {
    expect(
      actionGroups(entry({ actions })).map(g => [g.name, g.actions.map(a => [a.name, a.blocked])]),
    ).toEqual([
      ['General', [['Add user', null], ['Backup now', 'Start the service first.']]],
      ['Danger', [['Zap', 'Not on this machine.']]],
    ]);
  });
  it('that need a stopped service are blocked while it runs', () => {
    const [general] = actionGroups(entry({ actions }, { started: before(1) }));
    expect(general?.actions[0]?.blocked).toBe('Stop the service first.');
  });
});

describe('tasks', () => {
  const task = (severity: string, over: Record<string, unknown> = {}) => ({
    active: true,
    task: { packageId: 'hello', actionId: 'set-name', severity, ...over },
  });
  const self = entry({
    actions: { 'set-name': action() },
    tasks: {
      c: task('optional'),
      b: task('critical', { reason: 'Choose a name.', input: { kind: 'partial', accept: [], set: { name: 'A' } } }),
      a: task('important', { packageId: 'db', actionId: 'tune' }),
      done: { ...task('critical'), active: false },
    },
  });
  const rows = openTasks(self, new Map([['hello', self]]));
  it('come with the most urgent first, and only while active', () => {
    expect(rows.map(r => r.severityWord)).toEqual(['Required', 'Recommended', 'Optional']);
  });
  it('carry what the form should be filled with', () => expect(rows[0]?.prefill).toEqual({ name: 'A' }));
  it('of a package that is not installed say so', () => expect(rows[1]?.blocked).toBe('Install db first.'));
  it('can be dismissed unless required', () => expect(rows.map(r => r.dismissible)).toEqual([false, true, true]));
});

describe('restart records', () => {
  const record = (ms: number, over: Partial<RestartRecord> = {}): RestartRecord => ({
    seq: 1,
    at: before(ms),
    what: 'daemon main',
    cause: { kind: 'oom', kills: 1 },
    because: [],
    action: 'it is started again',
    by: { who: 'coppice' },
    ranMs: null,
    logs: [],
    ...over,
  });
  it.each<[Cause, string]>([
    [{ kind: 'exit', code: 0 }, 'The daemon main ended by itself, without an error.'],
    [{ kind: 'exit', code: 1 }, 'The daemon main ended with an error (exit code 1).'],
    [{ kind: 'exit', code: 127 }, 'The daemon main ended because a program was not found (exit code 127).'],
    [{ kind: 'exit', code: 139 }, 'The daemon main crashed on a memory error (SIGSEGV).'],
    [{ kind: 'signal', signal: 9 }, 'The daemon main was killed (SIGKILL).'],
    [{ kind: 'signal', signal: 15 }, 'The daemon main was told to end (SIGTERM).'],
    [{ kind: 'signal', signal: 35 }, 'The daemon main was ended by signal 35.'],
    [{ kind: 'oom', kills: 1 }, 'The daemon main ran out of memory and was ended by the kernel.'],
    [{ kind: 'container-died' }, 'The daemon main went down with its container.'],
    [{ kind: 'runtime-died' }, 'The daemon main went down with the package code that looks after it.'],
    [{ kind: 'operator', by: { who: 'account', name: 'admin' }, asked: 'restart' }, 'The daemon main was restarted by admin.'],
    [{ kind: 'operator', by: { who: 'package' }, asked: 'stop' }, 'The daemon main was stopped by its package.'],
    [{ kind: 'failed-check', check: 'Web', message: 'no answer' }, 'The daemon main failed its check Web: no answer.'],
    [{ kind: 'failed-check', check: 'Web', message: null }, 'The daemon main failed its check Web.'],
    [
      { kind: 'configuration-missing', package: 'db', action: 'config', reason: null },
      'The daemon main needs its owner: the action config of db has to be run.',
    ],
    [{ kind: 'start-failed', message: 'no image' }, 'The daemon main could not start: no image.'],
    [{ kind: 'deadline', waitedFor: 'the container' }, 'The daemon main took too long (the container).'],
    [{ kind: 'stop-failed', message: 'busy' }, 'The daemon main did not stop in good order: busy.'],
    [{ kind: 'update-failed', to: '2:0', message: 'no such table' }, 'The daemon main did not go to 2:0: no such table.'],
    [{ kind: 'internal', message: 'lost a file' }, 'The daemon main stopped because of a fault in Coppice: lost a file.'],
  ])('%o reads as a sentence', (cause, words) => expect(restartStory(record(1, { cause })).headline).toBe(words));
  it('say what was done as a sentence', () => expect(restartStory(record(1)).done).toBe('It is started again.'));
  it('explain a chain of three services from end to end', () => {
    const because: RestartRecord['because'] = [
      { is: 'held', service: 'api' },
      { is: 'unwell', service: 'cache', check: 'Memory', message: 'full' },
      { is: 'parked', service: 'db' },
      { is: 'failed', service: 'db', what: 'init', cause: { kind: 'start-failed', message: 'no such table' } },
    ];
    expect(restartStory(record(1, { because })).because).toBe(
      'Because api is held because cache fails its check Memory: full because db is parked because its init failed: no such table.',
    );
  });
  it.each<[RestartRecord['because'][number], string]>([
    [{ is: 'failed', service: 'db', what: 'daemon postgres', cause: { kind: 'oom', kills: 1 } }, "Because db's daemon postgres ran out of memory and was ended by the kernel."],
    [{ is: 'stopped', service: 'db' }, 'Because db is stopped.'],
    [{ is: 'starting', service: 'db' }, 'Because db is not up yet.'],
    [{ is: 'missing', service: 'db' }, 'Because db is not installed.'],
    [{ is: 'needs-task', service: 'db', action: 'config', reason: null }, 'Because db waits for somebody to run config.'],
    [{ is: 'disk-full', free: 3 * 2 ** 20 }, 'Because the disk is full (3 MiB left).'],
  ])('%o is said in words', (link, words) => expect(restartStory(record(1, { because: [link] })).because).toBe(words));
  it('are shown newest first', () => {
    expect(restartStories({ '7': record(9), '9': record(1), '8': record(5) }).map(s => s.at)).toEqual([before(1), before(5), before(9)]);
  });
});

describe('small words', () => {
  it('login errors tell a wrong password from a tired or absent server', () => {
    expect(loginSentence(new RpcError('auth.login', 7, ''))).toMatch(/not right/);
    expect(loginSentence(new RpcError('auth.login', 37, ''))).toMatch(/20 seconds/);
    expect(loginSentence(new UnreachableError('auth.login'))).toMatch(/does not answer/);
  });
  it('sizes are short', () => expect([0, 999, 1500, 73_400_320].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '73 MB']));
  it('texts follow the language, else English, else any', () => {
    const text = { en_US: 'Hello', de_DE: 'Hallo' };
    expect([localeText(text, 'de-AT'), localeText(text, 'fr'), localeText({ pl_PL: 'Cześć' }, 'fr')]).toEqual([
      'Hallo',
      'Hello',
      'Cześć',
    ]);
  });
  it('progress without a total has no percent', () => {
    expect(progressLook({ overall: false, phases: [{ name: 'Unpacking', progress: false }] })).toEqual({
      percent: null,
      words: 'Unpacking',
    });
  });
});
