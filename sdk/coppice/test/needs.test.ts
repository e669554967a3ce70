import { describe, expect, it } from 'vitest';
import { demandNeeds, healthCheck, needsMet, oneshot, units, type StatusInfo } from '../src/index.js';
import { withHost, type TestHost } from '../src/testing/index.js';
import { built, hello } from './fixture.js';

const store = hello.dependency('store');

const status = (started: string | null, result: 'success' | 'failure' | 'disabled' | null): StatusInfo => ({
  health: result === null ? {} : { primary: { name: 'Answers', result, message: result === 'failure' ? 'it is full' : null } },
  error: null,
  started,
  desired: { main: 'running' },
});
const up = '2026-01-01T00:00:00Z';

/** A host with this version of the store, in this state. */
function has(host: TestHost, version: string | null, state: StatusInfo | null): void {
  host.setManifest('store', version === null ? null : { id: 'store', title: 'Store', version });
  host.setStatus('store', state);
}

describe('what a package needs of others', () => {
  it.each([
    ['is not there while it is not installed', null, null, 'store is not installed'],
    ['is not there in another version', '1.0.0:0', status(up, 'success'), 'Store is 1.0.0:0, and >=1.2.0:0 is needed'],
    ['is not there while it is stopped', '1.2.0:0', status(null, null), 'Store does not run'],
    ['is not there before its check was looked at', '1.2.0:0', status(up, null), 'Store is not well: primary has not been looked at'],
    ['is not there while its check fails', '1.2.0:0', status(up, 'failure'), 'Store is not well: Answers: it is full'],
    ['is there when its check is well', '1.2.0:0', status(up, 'success'), null],
    ['is there when its check is off', '1.3.0:0', status(up, 'disabled'), null],
  ])('%s', (_, version, state, unmet) =>
    withHost(
      built({
        needs: [store.running('>=1.2.0:0', ['primary'])],
        daemons: () => Promise.resolve(units({ store: healthCheck({ name: 'Store', check: needsMet({ well: 'The store is there' }), graceMs: 0 }) })),
      }),
      async host => {
        has(host, version, state);
        await host.init('install');
        await host.start();
        await host.until('it was looked at', () => host.health.has('store'));
        const expected = unmet === null ? { result: 'success', message: 'The store is there' } : { result: 'failure', message: unmet };
        expect(host.health.get('store')).toEqual({ name: 'Store', ...expected });
      },
    ),
  );

  it('need not run when it is only to be installed', () =>
    withHost(built({ needs: [store.exists('*')], daemons: () => Promise.resolve(units({ needs: oneshot(demandNeeds) })) }), async host => {
      has(host, '1.0.0:0', status(null, null));
      await host.init('install');
      await host.start();
    }));

  it('fails the start when that cannot do without', () =>
    withHost(built({ needs: [store.running('*')], daemons: () => Promise.resolve(units({ needs: oneshot(demandNeeds) })) }), async host => {
      has(host, '1.0.0:0', status(null, null));
      await host.init('install');
      await expect(host.start()).rejects.toThrow('Store does not run');
      host.setStatus('store', status(up, null));
      await host.start();
    }));
});
