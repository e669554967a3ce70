import { describe, expect, it } from 'vitest';
import { action, definePackage, http, ManifestError, use, statusOf } from '../src/index.js';
import { withHost } from '../src/testing/index.js';
import { built, hello } from './fixture.js';

const up = { health: {}, error: null, started: '2026-01-01T00:00:00Z', desired: { main: 'running' } } as const;

describe('init', () => {
  it('declares everything in order and withdraws what a former version declared', () =>
    withHost(built(), async host => {
      await host.init('install');
      const names = host.names();
      expect(names.slice(0, 2)).toEqual(['get-data-version', 'set-data-version']);
      // In between, what does not need each other is asked at once.
      expect(names.slice(2, -2).sort()).toEqual([
        'action.clear',
        'action.export',
        'bind',
        'clear-bindings',
        'clear-service-interfaces',
        'export-service-interface',
        'set-dependencies',
      ]);
      expect(names.indexOf('bind')).toBeLessThan(names.indexOf('export-service-interface'));
      expect(names.slice(-2)).toEqual(['action.create-task', 'action.clear-tasks']);
      expect(host.asked('set-data-version')).toEqual([{ version: '1.0.0:0' }]);
      expect(host.asked('clear-bindings')).toEqual([{ except: [{ id: 'ui', internalPort: 8080 }] }]);
      expect(host.asked('action.clear')).toEqual([{ except: ['set-greeting'] }]);
      expect(host.asked('action.clear-tasks')).toEqual([{ except: ['hello:set-greeting'] }]);
      expect(host.read('main', 'hello.conf')).toBe('greeting=Hello\n');
    }));

  it('tells the host of a page what it needs to put HTTPS before it', () =>
    withHost(built(), async host => {
      await host.init('install');
      expect(host.asked('bind')).toEqual([
        {
          id: 'ui',
          internalPort: 8080,
          preferredExternalPort: 80,
          secure: null,
          addSsl: { preferredExternalPort: 443, addXForwardedHeaders: true, alpn: { specified: ['http/1.1'] }, auth: null },
        },
      ]);
      expect(host.asked('export-service-interface')).toMatchObject([
        { id: 'ui', type: 'ui', addressInfo: { hostId: 'ui', internalPort: 8080, scheme: 'http', sslScheme: 'https', suffix: '' } },
      ]);
    }));

  it('takes back a task once what it asked for is done', () =>
    withHost(built(), async host => {
      await host.init('install');
      expect([...host.tasks.keys()]).toEqual(['hello:set-greeting']);
      expect(host.tasks.get('hello:set-greeting')).toMatchObject({ packageId: 'hello', actionId: 'set-greeting', severity: 'optional' });
      await host.run('set-greeting', { greeting: 'Hi' });
      await host.until('the task is gone', () => host.tasks.size === 0);
    }));

  it('runs only the step again whose reading has changed', () =>
    withHost(
      built({
        needs: async effects =>
          (await use(effects, statusOf('store'), status => status !== null)) ? [hello.dependency('store').running('>=1.0:0')] : [],
      }),
      async host => {
        await host.init('install');
        expect(host.asked('set-dependencies')).toEqual([{ dependencies: [] }]);
        const before = host.asked('bind').length;
        host.setStatus('store', up);
        await host.until('the step has run again', () => host.asked('set-dependencies').length === 2);
        expect(host.asked('set-dependencies')[1]).toMatchObject({ dependencies: [{ kind: 'running', id: 'store' }] });
        expect(host.asked('bind')).toHaveLength(before);
      },
    ));

  it('keeps still when what was read changes to the same', () =>
    withHost(built({ needs: async effects => (await use(effects, statusOf('store'), status => status?.started ?? ''), []) }), async host => {
      host.setStatus('store', up);
      await host.init();
      host.setStatus('store', { ...up, health: { a: { name: 'A', result: 'success', message: null } } });
      host.setStatus('store', { ...up, started: 'later' });
      await host.until('the second change was seen', () => host.asked('set-dependencies').length === 2);
      expect(host.asked('get-status').length).toBeGreaterThanOrEqual(3);
    }));

  it('fails when a step fails', () =>
    withHost(built({ setup: () => Promise.reject(new Error('no room')) }), async host => {
      await expect(host.init('install')).rejects.toThrow('no room');
    }));
});

describe('uninit', () => {
  it('forgets the data version when the package goes', () =>
    withHost(built(), async host => {
      await host.init('install');
      await host.uninit(null);
      expect(host.dataVersion).toBeNull();
    }));
});

describe('actions', () => {
  it('show their present values, under what a task asks for', () =>
    withHost(built(), async host => {
      await host.init('install');
      expect((await host.form('set-greeting')).value).toEqual({ greeting: 'Hello' });
      expect((await host.form('set-greeting', { greeting: 'Hi' })).value).toEqual({ greeting: 'Hi' });
    }));

  it('apply the rules of their form to what is sent, also when no form was opened', () =>
    withHost(built(), async host => {
      await host.init('install');
      await expect(host.run('set-greeting', { greeting: 'two\nlines' })).rejects.toThrow('Greeting: One line');
      await expect(host.run('set-greeting', {})).rejects.toThrow('Greeting: is needed');
      expect(host.read('main', 'hello.conf')).toBe('greeting=Hello\n');
      await expect(host.run('set-greeting', { greeting: 'Hi' })).resolves.toMatchObject({ version: '1', message: 'Hi' });
      expect(host.read('main', 'hello.conf')).toBe('greeting=Hi\n');
    }));

  it('are exported again when their visibility changes', () => {
    const only = action({
      id: 'only',
      name: 'Only',
      description: 'With the store.',
      visibility: effects => use(effects, statusOf('store'), status => (status === null ? { disabled: 'No store' } : 'enabled')),
      run: () => Promise.resolve(null),
    });
    return withHost(built({ actions: [only], tasks: [] }), async host => {
      await host.init();
      expect(host.asked('action.export')).toMatchObject([{ metadata: { visibility: { disabled: 'No store' }, hasInput: false } }]);
      host.setStatus('store', up);
      await host.until('it is exported again', () => host.asked('action.export').length === 2);
      expect(host.asked('action.export')[1]).toMatchObject({ metadata: { visibility: 'enabled' } });
    });
  });
});

describe('what cannot be built', () => {
  const info = { ...hello.info, dependencies: {} };

  it('is refused with everything that is wrong', () => {
    expect(() => definePackage({ ...info, id: 'No Name', images: {}, volumes: ['a', 'a'], upstreamRepo: 'nowhere' })).toThrow(
      /`No Name` cannot be the id.*two volumes.*no image.*`upstreamRepo` is no URL/s,
    );
    expect(() => definePackage({ ...info, images: { a: { arch: ['x86_64'], emulateMissingAs: 'aarch64' } } })).toThrow(ManifestError);
  });

  it('has names twice', () => {
    const twice = action({ id: 'a', name: 'A', description: '', run: () => Promise.resolve(null) });
    expect(() => built({ actions: [twice, twice] })).toThrow('two actions');
    const page = http({ host: 'ui', port: 80, interfaces: [] });
    expect(() => built({ interfaces: [page, page] })).toThrow('port 80 of host `ui` is declared twice');
  });

  it('leads out of a volume', () => {
    expect(() => hello.volume('main').file('../other')).toThrow('leads out');
    expect(() => hello.volume('main').at('/')).toThrow('cannot be a mount point');
    expect(() => hello.volume('main').at('/a/../b')).toThrow('cannot be a mount point');
  });

  it('does not compile with names that are not there', () => {
    // @ts-expect-error: no such volume
    hello.volume('mian');
    // @ts-expect-error: no such image
    hello.subcontainer({ image: 'helo' });
    // @ts-expect-error: no such dependency
    hello.dependency('shop');
  });
});

it('names what it needs from others in the manifest', () => {
  expect(built().manifest).toMatchObject({
    id: 'hello',
    version: '1.0.0:0',
    canMigrateFrom: '<=1.0.0:0',
    images: { hello: { source: 'packed', arch: ['x86_64'], emulateMissingAs: null } },
    volumes: ['main'],
    dependencies: { store: { optional: true } },
    hardwareRequirements: { arch: ['x86_64'] },
  });
});
