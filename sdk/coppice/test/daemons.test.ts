import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  commandSucceeds,
  daemon,
  entrypoint,
  healthCheck,
  httpAnswers,
  oneshot,
  oneshotIn,
  placements,
  portListening,
  units,
  type CheckResult,
  type SubcontainerSpec,
  type Units,
} from '../src/index.js';
import { withHost, type HostOptions, type TestHost } from '../src/testing/index.js';
import { box, built, config, hello } from './fixture.js';

const isWell = { result: 'success', message: null } as const;
const well = (): Promise<CheckResult> => Promise.resolve(isWell);
const main = hello.volume('main');

const elsewhere = (): SubcontainerSpec => hello.subcontainer({ image: 'hello' });

const running = (all: Units, work: (host: TestHost) => Promise<void>, options: HostOptions = {}): Promise<void> =>
  withHost(
    built({ daemons: () => Promise.resolve(all) }),
    async host => {
      host.image('hello', { user: 'web', workdir: '/srv', entrypoint: ['/hello'], cmd: ['--port', '8080'] });
      await host.init('install');
      await host.start();
      await work(host);
    },
    options,
  );

const runs = (host: TestHost): string[] => host.programs.running.map(({ call }) => call.words.join(' ')).sort();

describe('where Coppice takes daemons', () => {
  it('they are declared as data, and the package starts nothing', () =>
    running(
      units({
        server: daemon({ in: box, command: entrypoint(), env: { MODE: 'fast' }, ready: { name: 'Page', check: well } }),
        side: daemon({ in: hello.subcontainer({ image: 'hello' }), command: ['/side', '-v'], user: 'root', cwd: '/', graceMs: 500 }),
      }),
      async host => {
        expect(host.daemons).toEqual([
          {
            id: 'server',
            command: ['/hello', '--port', '8080'],
            env: { MODE: 'fast' },
            cwd: '/srv',
            image: { id: 'hello', user: 'web', mounts: [{ volume: 'main', mountpoint: '/data', readonly: true }] },
          },
          { id: 'side', command: ['/side', '-v'], env: {}, cwd: '/', graceMs: 500, image: { id: 'hello', user: 'root', mounts: [] } },
        ]);
        expect(host.programs.argvs).toEqual([]);
        await host.until('its check is told', () => host.health.get('server')?.result === 'success');
      },
    ));

  it('a port that nobody waits for is looked at by the host, and nothing of the service is in the package', () =>
    running(
      units({
        server: daemon({ in: box, command: ['/a'], ready: { name: 'Page', check: portListening(80, { well: 'Up' }), graceMs: 1, everyMs: 500 } }),
        quiet: daemon({ in: elsewhere(), command: ['/b'], ready: { name: null, check: portListening(81) } }),
        plain: daemon({ in: elsewhere(), command: ['/c'] }),
      }),
      async host => {
        expect(host.daemons.map(one => one.ready)).toEqual([
          { name: 'Page', port: 80, protocol: 'tcp', graceMs: 1, everyMs: 500, well: 'Up', unwell: 'nothing listens on port 80' },
          undefined,
          undefined,
        ]);
        expect(host.health.get('server')).toEqual({ name: 'Page', result: 'success', message: 'Up' });
        expect(host.asked('set-health')).toEqual([]);
        expect(host.isHeldByHost).toBe(true);
        await host.stop();
        expect(host.isHeldByHost).toBe(false);
      },
    ));

  it.each([
    ['a check of its own', units({ a: daemon({ in: elsewhere(), command: ['/a'], ready: { name: 'A', check: well } }) })],
    ['one that is looked at too rarely', units({ a: daemon({ in: elsewhere(), command: ['/a'], ready: { name: 'A', check: portListening(1), everyMs: 90_000 } }) })],
    [
      'a port that another unit waits for',
      units({
        a: daemon({ in: elsewhere(), command: ['/a'], ready: { name: 'A', check: portListening(1) } }),
        b: healthCheck({ name: 'B', check: well }, { requires: ['a'] }),
      }),
    ],
    ['work that is done once', units({ a: daemon({ in: elsewhere(), command: ['/a'] }), once: oneshot(() => Promise.resolve()) })],
    ['a daemon that the package runs', units({ a: daemon({ in: elsewhere(), command: ['/a'], graceMs: 600_000 }) })],
  ])('%s keeps the service in the package', (_, all) =>
    running(all, async host => {
      expect(host.daemons.every(one => one.ready === undefined)).toBe(true);
      expect(host.isHeldByHost).toBe(false);
      await host.until('it is brought up', () => host.daemons.length + host.programs.running.length > 0);
    }));

  it('a changed setting asks for a restart, once', () =>
    withHost(built(), async host => {
      host.image('hello', { entrypoint: ['/hello'] });
      await host.init('install');
      await host.start();
      await config.merge({ greeting: 'Hi' });
      await host.until('a restart is asked for', () => host.asked('restart').length > 0);
      await host.stop();
      expect(host.asked('restart')).toHaveLength(1);
    }));

  it.each([
    ['requires', daemon({ in: box, command: ['a'], requires: ['other'] })],
    ['mounts', daemon({ in: hello.subcontainer({ image: 'hello', mounts: [hello.dependency('store').volume('main', '/mnt')] }), command: ['a'] })],
    ['check-inside', daemon({ in: box, command: ['a'], ready: { name: null, check: commandSucceeds(['true']) } })],
    ['limits', daemon({ in: box, command: ['a'], graceMs: 600_000 })],
  ])('one stays with the package because of its %s', (because, one) => {
    const all = units({ one, other: oneshot(() => Promise.resolve()) });
    expect(placements(all, true).get('one')).toEqual({ by: 'package', because });
    expect(placements(all, false).get('one')).toEqual({ by: 'package', because: 'host-takes-none' });
  });

  it('two that share a subcontainer stay with the package', () => {
    const all = units({ a: daemon({ in: box, command: ['a'] }), b: daemon({ in: box, command: ['b'] }) });
    expect([...placements(all, true).values()]).toEqual([
      { by: 'package', because: 'shared-subcontainer' },
      { by: 'package', because: 'shared-subcontainer' },
    ]);
  });

  it('both kinds live side by side', () =>
    running(
      units({
        db: daemon({ in: hello.subcontainer({ image: 'hello' }), command: ['/db'], ready: { name: 'Database', check: well } }),
        web: daemon({ in: box, command: ['/web'], requires: ['db'] }),
      }),
      async host => {
        expect(host.daemons.map(one => one.id)).toEqual(['db']);
        await host.until('the other one runs', () => runs(host).length === 1);
        expect(runs(host)).toEqual(['/web']);
      },
    ));
});

describe('where the package runs daemons itself', () => {
  const startos = { kind: 'startos' } as const;

  it('a subcontainer is made as the host expects, and taken away', () =>
    running(
      units({ server: daemon({ in: box, command: entrypoint(), env: { MODE: 'a=b c' }, ready: { name: 'Page', check: well } }) }),
      async host => {
        await host.until('it runs', () => runs(host).length === 1);
        const [launch, mount, dev, sys, exec] = host.programs.argvs;
        const root = launch?.at(-1) ?? '';
        const media = root.slice(0, root.indexOf('/subcontainers/'));
        expect(launch).toEqual(['start-container', 'subcontainer', 'launch', root]);
        expect(mount).toEqual(['start-container', 'bind-mount', '--source', `${media}/volumes/main`, '--target', `${root}/data`, '--recursive', '--readonly']);
        expect(dev).toEqual(['mount', '--rbind', '/dev', `${root}/dev`]);
        expect(sys).toEqual(['mount', '--rbind', '/sys', `${root}/sys`]);
        expect(exec).toEqual([
          'start-container',
          'subcontainer',
          'exec',
          `--env-file=${media}/images/hello.env`,
          '--user=web',
          '--workdir=/srv',
          '--env=MODE=a=b c',
          root,
          '/hello',
          '--port',
          '8080',
        ]);
        expect(host.asked('subcontainer.create-fs')).toEqual([{ imageId: 'hello', name: 'server' }]);
        await host.stop();
        expect(runs(host)).toEqual([]);
        expect(host.asked('subcontainer.destroy-fs')).toEqual([{ guid: 'sub-1' }]);
        expect(host.names()).not.toContain('set-daemons');
      },
      startos,
    ));

  it('a daemon that ends is started again at once, and the page says so', () =>
    running(
      units({ server: daemon({ in: box, command: ['/hello'], ready: { name: 'Page', check: well } }) }),
      async host => {
        await host.until('it runs', () => runs(host).length === 1);
        const [first] = host.programs.running;
        first?.end(3);
        await host.until('another one runs', () => host.programs.running.length === 1 && host.programs.running[0] !== first);
        expect(host.asked('set-health')).toContainEqual({ id: 'server', name: 'Page', result: 'failure', message: 'Page: it ended with 3' });
      },
      startos,
    ));

  it('what is required comes first: work is done, daemons are ready', () => {
    let isReady = false;
    const order: string[] = [];
    const all = units({
        web: daemon({ in: box, command: ['/web'], requires: ['db', 'prepare'], ready: { name: 'Web', check: well } }),
        db: daemon({
          in: box,
          command: ['/db'],
          requires: ['prepare'],
          ready: { name: 'Database', check: () => Promise.resolve(isReady ? isWell : { result: 'failure', message: 'not yet' }) },
        }),
        prepare: oneshotIn(box, async inside => {
          order.push(await inside.run(['/prepare']));
        }),
      });
    return withHost(
      built({ daemons: () => Promise.resolve(all) }),
      async host => {
        host.image('hello', { user: 'web' });
        host.programs.script('/prepare', ({ user, workdir }) => ({ stdout: `prepared as ${user} in ${workdir}` }));
        await host.start();
        expect(order).toEqual(['prepared as web in /']);
        await host.until('the database runs', () => runs(host).includes('/db'));
        await host.until('the other one tells what it waits for', () => host.health.get('web')?.result === 'waiting');
        expect(host.health.get('web')?.message).toBe('Waiting for Database, prepare');
        expect(host.health.get('db')?.result).toBe('starting');
        isReady = true;
        await host.until('the other one runs', () => runs(host).includes('/web'));
        await host.until('both are well', () => [...host.health.values()].every(one => one.result === 'success'));
      },
      startos,
    );
  });

  it('work that requires others is tried again until it is done', () => {
    let tries = 0;
    const all = units({
      db: daemon({ in: box, command: ['/db'], ready: { name: 'Database', check: well } }),
      prepare: oneshot(() => (++tries < 3 ? Promise.reject(new Error('the database went away')) : Promise.resolve()), { requires: ['db'] }),
      web: daemon({ in: box, command: ['/web'], requires: ['prepare'], ready: { name: 'Web', check: well } }),
    });
    return withHost(
      built({ daemons: () => Promise.resolve(all) }),
      async host => {
        await host.start();
        await host.until('the other one runs', () => runs(host).includes('/web'));
        expect(tries).toBe(3);
      },
      startos,
    );
  });

  it('work that fails fails the start, and leaves nothing behind', () =>
    withHost(
      built({
        daemons: () =>
          Promise.resolve(
            units({
              prepare: oneshotIn(box, async inside => void (await inside.run(['/prepare', '--all'], { input: 'secret' }))),
              server: daemon({ in: box, command: ['/hello'], requires: ['prepare'] }),
            }),
          ),
      }),
      async host => {
        host.programs.script('/prepare', ({ input }) => ({ code: 7, stderr: `no ${input ?? ''}` }));
        await expect(host.start()).rejects.toThrow('`/prepare` ended with 7: no secret');
        expect(runs(host)).toEqual([]);
        expect(host.asked('subcontainer.create-fs')).toHaveLength(host.asked('subcontainer.destroy-fs').length);
      },
      startos,
    ));

  it('a stop ends in reverse order, and what waits never starts', () => {
    const ended: string[] = [];
    return running(
      units({
        db: daemon({ in: box, command: ['/db'], ready: { name: null, check: well } }),
        web: daemon({ in: box, command: ['/web'], requires: ['db'], ready: { name: null, check: () => Promise.resolve({ result: 'failure', message: null }) } }),
        late: daemon({ in: box, command: ['/late'], requires: ['web'] }),
      }),
      async host => {
        await host.until('both run', () => runs(host).length === 2);
        for (const one of host.programs.running) void one.exit.then(exit => ended.push(`${one.call.words[0] ?? ''} ${exit.signal ?? ''}`));
        await host.stop();
        expect(ended).toEqual(['/web SIGTERM', '/db SIGTERM']);
        expect(runs(host)).toEqual([]);
      },
      startos,
    );
  });
});

describe('checks', () => {
  it('a port counts while something listens on it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await running(
      units({ port: healthCheck({ name: 'Port', check: portListening(port, { unwell: 'Nobody there' }), everyMs: 5, graceMs: 0 }) }),
      async host => {
        await host.until('it is well', () => host.health.get('port')?.result === 'success');
        await new Promise(resolve => server.close(resolve));
        await host.until('it is not any more', () => host.health.get('port')?.result === 'failure');
        expect(host.health.get('port')?.message).toBe('Nobody there');
      },
    );
  });

  it('are told when they change, not each time they are looked at', () => {
    let looks = 0;
    return running(
      units({ often: healthCheck({ name: 'Often', check: () => ((looks += 1), well()), everyMs: 1 }) }),
      async host => {
        await host.until('it was looked at often', () => looks > 20);
        expect(host.asked('set-health')).toHaveLength(1);
      },
    );
  });
});

describe('units', () => {
  it('that wait for each other are refused by name', () => {
    expect(() =>
      units({ a: oneshot(() => Promise.resolve(), { requires: ['b'] }), b: oneshot(() => Promise.resolve(), { requires: ['a'] }) }),
    ).toThrow('these wait for each other: a → b → a');
  });

  it('do not compile when they require what is not there', () => {
    // @ts-expect-error: there is no unit `c`
    expect(() => units({ a: oneshot(() => Promise.resolve(), { requires: ['c'] }) })).toThrow('`a` requires `c`');
  });

  it('mount at their places', () => {
    expect(main.at('/data', { subpath: 'part' })).toEqual({ kind: 'volume', volume: 'main', mountpoint: '/data', subpath: 'part', readonly: false });
  });
});

describe('a page', () => {
  it.each([
    [200, {}, { result: 'success', message: null }],
    [401, { also: [401] }, { result: 'success', message: null }],
    [401, {}, { result: 'failure', message: 'it answers with 401' }],
  ] as const)('that answers with %s', async (status, options, expected) => {
    const server = createHttpServer((_, answer) => answer.writeHead(status).end());
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : null;
      await running(units({ page: healthCheck({ name: 'Page', check: httpAnswers(`http://127.0.0.1:${port}/`, options), graceMs: 0 }) }), async host => {
        await host.until('it was looked at', () => host.health.has('page'));
        const { result, message } = host.health.get('page') ?? {};
        expect({ result, message: message?.replace(/^http:\S+: /, '') ?? null }).toEqual(expected);
      });
    } finally {
      server.close();
    }
  });
});
