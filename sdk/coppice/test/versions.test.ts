import { describe, expect, it } from 'vitest';
import { versions, type Migration } from '../src/index.js';
import { withHost, type TestHost } from '../src/testing/index.js';
import { built } from './fixture.js';

const ran: string[] = [];
const note = (what: string) => (): Promise<void> => {
  ran.push(what);
  return Promise.resolve();
};
const migration = (to: Migration['to'], isReversible = true): Migration => ({
  to,
  up: note(`up ${to}`),
  down: isReversible ? note(`down ${to}`) : null,
});

function withHistory(migrations: readonly Migration[], work: (host: TestHost) => Promise<void>, since?: Migration['to']): Promise<void> {
  ran.length = 0;
  const history = versions({ current: '3.0:0', releaseNotes: '', migrations, ...(since === undefined ? {} : { since }) });
  return withHost(built({ versions: history }), work);
}

describe('data is brought up', () => {
  const steps = [migration('1.5:0'), migration('2.0:0'), migration('3.0:0')];

  it.each([
    ['1.0:0', ['up 1.5:0', 'up 2.0:0', 'up 3.0:0'], ['1.5:0', '2.0:0', '3.0:0']],
    ['1.5:0', ['up 2.0:0', 'up 3.0:0'], ['2.0:0', '3.0:0']],
    ['2.1:7', ['up 3.0:0'], ['3.0:0']],
    ['3.0:0', [], []],
    ['>=1.5:0 && <2.0:0', ['up 2.0:0', 'up 3.0:0'], ['2.0:0', '3.0:0']],
  ])('from %s', (from, expected, written) =>
    withHistory(steps, async host => {
      host.dataVersion = from;
      await host.init();
      expect(ran).toEqual(expected);
      expect(host.asked('set-data-version').map(one => one['version'])).toEqual(written);
    }),
  );

  it('and a fresh install migrates nothing', () =>
    withHistory(steps, async host => {
      await host.init('install');
      expect(ran).toEqual([]);
      expect(host.dataVersion).toBe('3.0:0');
    }));

  it('goes on where it was interrupted', () => {
    let fails = true;
    const breaking: Migration = { to: '2.0:0', up: () => (fails ? Promise.reject(new Error('no power')) : note('up 2.0:0')()), down: null };
    return withHistory([migration('1.5:0'), breaking], async host => {
      host.dataVersion = '1.0:0';
      await expect(host.init()).rejects.toThrow('no power');
      expect(host.dataVersion).toBe('1.5:0');
      fails = false;
      await host.init();
      expect(ran).toEqual(['up 1.5:0', 'up 2.0:0']);
    });
  });

  it('only from where it can be', () =>
    withHistory(
      steps,
      async host => {
        host.dataVersion = '1.0:0';
        await expect(host.init()).rejects.toThrow('takes over >=1.5:0 && <=3.0:0');
        host.dataVersion = '4.0:0';
        await expect(host.init()).rejects.toThrow('install a version in between');
        expect(ran).toEqual([]);
      },
      '1.5:0',
    ));
});

describe('data is taken back', () => {
  const steps = [migration('1.5:0', false), migration('2.0:0'), migration('3.0:0')];

  it.each([
    ['2.5:0', ['down 3.0:0'], '2.5:0'],
    ['2.0:0', ['down 3.0:0'], '2.0:0'],
    ['1.6:0', ['down 3.0:0', 'down 2.0:0'], '1.6:0'],
    ['>=1.5:0 && <2.0:0', ['down 3.0:0', 'down 2.0:0'], '1.5:0'],
    ['3.0:0', [], '3.0:0'],
    ['4.0:0', [], '3.0:0'],
  ])('to %s', (target, expected, left) =>
    withHistory(steps, async host => {
      await host.init('install');
      await host.uninit(target);
      expect(ran).toEqual(expected);
      expect(host.dataVersion).toBe(left);
    }),
  );

  it('not past a migration without a way back, as the manifest says', () =>
    withHistory(steps, async host => {
      await host.init('install');
      await expect(host.uninit('1.0:0')).rejects.toThrow('restore a backup instead');
      expect(built({ versions: versions({ current: '3.0:0', releaseNotes: '', migrations: steps }) }).manifest).toMatchObject({
        canMigrateTo: '>=1.5:0 && <=3.0:0',
      });
    }));
});

it('a history that makes no sense is refused', () => {
  const of = (...migrations: Migration[]) => () => versions({ current: '3.0:0', releaseNotes: '', migrations });
  expect(of(migration('2.0:0'), migration('1.0:0'))).toThrow('in the wrong order');
  expect(of(migration('4.0:0'))).toThrow('newer than the current version');
  expect(of(migration('#other:1.0:0'))).toThrow('another flavor');
});
