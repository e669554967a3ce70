import { describe, expect, it } from 'vitest';
import { entry, manifest } from '../testing/sample';
import { fleetSentence, healthLook, serviceLook } from './status';

const at = '2026-03-01T10:00:00Z';
const word = (over: Record<string, unknown>, status: Record<string, unknown> = {}) => {
  const { tone, word } = serviceLook(entry(over, status));
  return [tone, word];
};
const run = (health: Record<string, unknown>) =>
  serviceLook(entry({}, { desired: { main: 'running' }, started: at, health }));

describe('a service is shown', () => {
  it.each([
    ['stopped', null, ['quiet', 'Stopped']],
    ['stopped', at, ['busy', 'Stopping']],
    ['running', null, ['busy', 'Starting']],
    ['running', at, ['good', 'Running']],
    ['restarting', at, ['busy', 'Restarting']],
    ['restarting', null, ['busy', 'Restarting']],
    ['backing-up', at, ['busy', 'Stopping for backup']],
    ['backing-up', null, ['busy', 'Backing up']],
  ])('when it should be %s and started is %s', (main, started, expected) => {
    expect(word({}, { desired: { main }, started })).toEqual(expected);
  });

  it('as an error whatever else holds', () => {
    const error = { details: 'the image `main` is missing', debug: '' };
    const seen = serviceLook(entry({}, { desired: { main: 'running' }, started: at, error }));
    expect(seen).toEqual({ tone: 'bad', word: 'Error', sentence: error.details });
  });

  it('as waiting for its owner when a required task keeps it from starting', () => {
    const tasks = { a: { active: true, task: { packageId: 'hello', actionId: 'x', severity: 'critical' } } };
    expect(word({ tasks })).toEqual(['care', 'Needs you']);
  });

  it('as failing, with the next try, while it is parked', () => {
    const parked = { since: at, reason: 'main ended 6 times in 60 s', nextProbe: at };
    const seen = serviceLook(entry({ parked }, { desired: { main: 'running' } }));
    expect(seen.word).toBe('Keeps failing');
    expect(seen.sentence).toMatch(/^main ended 6 times in 60 s\. Next try at .*Restart/);
  });

  it('as waiting, with for what, while it is held', () => {
    const held = { since: at, reason: 'it failed, and waits because its dependency db is parked' };
    const error = { details: 'no database', debug: '' };
    const seen = serviceLook(entry({ held }, { desired: { main: 'running' }, error }));
    expect(seen).toEqual({
      tone: 'care',
      word: 'Waiting',
      sentence: 'It failed, and waits because its dependency db is parked.',
    });
    expect(word({ held })).toEqual(['quiet', 'Stopped']);
  });

  it('as stopped, not as failing, when its owner stopped it while parked', () => {
    const parked = { since: at, reason: 'x', nextProbe: at };
    expect(word({ parked })).toEqual(['quiet', 'Stopped']);
  });

  it('with the phase of its install', () => {
    const progress = {
      overall: { done: 40, total: 100, units: null },
      phases: [
        { name: 'Uploading', progress: true },
        { name: 'Unpacking', progress: { done: 1, total: 4, units: 'bytes' } },
      ],
    };
    const stateInfo = { state: 'installing', installingInfo: { newManifest: manifest('hello', 'Hello'), progress } };
    expect(serviceLook(entry({ stateInfo })).sentence).toBe('Unpacking 25 %');
  });

  it('with the phase of its update', () => {
    const progress = {
      overall: { done: 2, total: 5, units: 'steps' },
      phases: [
        { name: 'Stopping', progress: true },
        { name: 'Copying its data', progress: { done: 1, total: 2, units: 'bytes' } },
      ],
    };
    const [installed, newManifest] = [manifest('hello', 'Hello'), manifest('hello', 'Hello')];
    const stateInfo = { state: 'updating', manifest: installed, installingInfo: { newManifest, progress } };
    const look = serviceLook(entry({ stateInfo }));
    expect([look.word, look.sentence]).toEqual(['Updating', 'Copying its data 50 %']);
  });
});

describe('a running service takes its word from the worst health check', () => {
  const ok = { name: 'Web', result: 'success', message: 'ok' };
  it('good when all succeed or are off', () => {
    expect(run({ a: ok, b: { ...ok, result: 'disabled' } }).tone).toBe('good');
  });
  it('starting before the first answer', () => {
    expect(run({ a: ok, b: { name: 'Db', result: 'starting', message: null } }).word).toBe('Starting');
  });
  it('loading over starting', () => {
    expect(
      run({ a: { name: 'Db', result: 'waiting', message: null }, b: { name: 'Sync', result: 'loading', message: '12 %' } }),
    ).toEqual({ tone: 'busy', word: 'Loading', sentence: 'Sync: 12 %.' });
  });
  it('unhealthy over everything, naming the check', () => {
    expect(
      run({ a: { name: 'Web', result: 'failure', message: 'main daemon crashed' }, b: { ...ok, result: 'loading' } }),
    ).toEqual({ tone: 'bad', word: 'Unhealthy', sentence: 'Web: main daemon crashed.' });
  });
});

it('every health result has a word', () => {
  const words = (['success', 'disabled', 'starting', 'waiting', 'loading', 'failure'] as const).map(
    result => healthLook({ name: 'x', result, message: null }).word,
  );
  expect(words).toEqual(['Healthy', 'Off', 'Starting', 'Waiting', 'Loading', 'Failing']);
});

it('the list is summed up with the worst news first', () => {
  const running = entry({}, { desired: { main: 'running' }, started: at });
  const broken = entry({}, { error: { details: 'x', debug: '' } });
  expect(fleetSentence([running, running, broken, entry()])).toBe('1 in trouble, 2 running, 1 stopped');
  expect(fleetSentence([])).toBe('');
});
