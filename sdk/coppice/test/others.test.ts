import { describe, expect, it } from 'vitest';
import { backup, bridgeAddress, hostOf, parse, portRange, randomText, shape, taskOf, tcp, translations, urlsOf, use, type Host, type HostnameInfo } from '../src/index.js';
import { withHost } from '../src/testing/index.js';
import { built, hello } from './fixture.js';

const address = (hostname: string, metadata: HostnameInfo['metadata'], more: Partial<HostnameInfo> = {}): HostnameInfo => ({
  hostname,
  metadata,
  ssl: true,
  public: false,
  port: 443,
  ...more,
});

const host = (available: readonly HostnameInfo[], { enabled = [], disabled = [] }: { enabled?: string[]; disabled?: [string, number][] } = {}): Host => ({
  bindings: {
    8080: {
      enabled: true,
      net: { assignedPort: 49200, assignedSslPort: 49201 },
      addresses: { enabled, disabled, available },
      interfaces: {
        ui: {
          id: 'ui',
          name: 'Page',
          description: '',
          masked: false,
          type: 'ui',
          addressInfo: { username: null, hostId: 'ui', internalPort: 8080, scheme: 'http', sslScheme: 'https', suffix: '/app' },
        },
      },
    },
  },
});

const lan = address('192.168.1.2', { kind: 'ipv4', gateway: 'eth0' }, { port: 49201 });
const local = address('hello-box.local', { kind: 'mdns', gateways: ['eth0'] });
const bridge = address('10.0.3.1', { kind: 'ipv4', gateway: 'lxcbr0' }, { port: 49200, ssl: false });
const wan = address('203.0.113.7', { kind: 'ipv4', gateway: 'eth0' }, { public: true, port: 49201 });
const six = address('fd00::2', { kind: 'ipv6', gateway: 'eth0', scopeId: 0 }, { port: 49201 });
const onion = address('abc.onion', { kind: 'plugin', packageId: 'tor' }, { ssl: false, port: 80, public: true });

describe('addresses', () => {
  it('are those that the owner lets be used, as URLs', () => {
    expect(urlsOf(host([lan, local, bridge, wan, six, onion]), 8080, 'ui')).toEqual([
      'https://192.168.1.2:49201/app',
      'https://hello-box.local/app',
      'https://[fd00::2]:49201/app',
      'http://abc.onion/app',
    ]);
  });

  it('in public only when that was asked for, elsewhere unless it was forbidden', () => {
    expect(urlsOf(host([wan], { enabled: ['203.0.113.7:49201'] }), 8080, 'ui')).toEqual(['https://203.0.113.7:49201/app']);
    expect(urlsOf(host([lan, local], { disabled: [['192.168.1.2', 49201]] }), 8080, 'ui')).toEqual([]);
  });

  it('can be asked for by kind', () => {
    expect(urlsOf(host([lan, local]), 8080, 'ui', { kinds: ['mdns'] })).toEqual(['https://hello-box.local/app']);
    expect(urlsOf(host([bridge]), 8080, 'ui', { internal: true })).toEqual(['http://10.0.3.1:49200/app']);
    expect(urlsOf(null, 8080, 'ui')).toEqual([]);
    expect(urlsOf(host([lan]), 8080, 'other')).toEqual([]);
  });

  it('between services go over the bridge', () => {
    expect(bridgeAddress(host([lan, bridge]), 8080)).toBe('10.0.3.1:49200');
    expect(bridgeAddress(host([lan]), 8080)).toBeNull();
  });

  it('that change run again who uses them', () => {
    const seen: (string | null)[] = [];
    return withHost(
      built({ tasks: [], setup: async ({ effects }) => void seen.push(await use(effects, hostOf('api', 'store'), found => bridgeAddress(found, 8080))) }),
      async test => {
        await test.init();
        test.setHost('api', host([bridge]), 'store');
        await test.until('it was seen', () => seen.length === 2);
        expect(seen).toEqual([null, '10.0.3.1:49200']);
      },
    );
  });
});

describe('ports', () => {
  it.each([
    ['tls', { secure: { ssl: true }, addSsl: null }],
    ['itself', { secure: { ssl: false }, addSsl: null }],
    ['host', { secure: null, addSsl: { preferredExternalPort: 22, addXForwardedHeaders: false, alpn: null, auth: null } }],
    ['nobody', { secure: null, addSsl: null }],
  ] as const)('encrypted by %s', (encrypted, expected) =>
    withHost(built({ interfaces: [tcp({ host: 'ssh', port: 2222, external: 22, encrypted, interfaces: [] })] }), async test => {
      await test.init();
      expect(test.asked('bind')).toEqual([{ id: 'ssh', internalPort: 2222, preferredExternalPort: 22, ...expected }]);
    }),
  );

  it('in a row are bound together', () =>
    withHost(built({ interfaces: [portRange({ host: 'turn', start: 5000, count: 10, id: 'relay', name: 'R', description: '' })] }), async test => {
      await test.init();
      expect(test.asked('bind-range')).toEqual([{ id: 'turn', internalStartPort: 5000, externalStartPort: 5000, numberOfPorts: 10 }]);
      expect(test.asked('clear-bindings')).toEqual([{ except: [{ id: 'turn', internalPort: 5000 }] }]);
      expect(() => portRange({ host: 'a', start: 1, count: 501, id: 'a', name: '', description: '' })).toThrow('2 to 500');
    }));
});

describe('backups', () => {
  it('bring back the data, its version, and run what was asked for around them', () => {
    const ran: string[] = [];
    const note = (what: string) => () => Promise.resolve(void ran.push(what));
    const whole = backup({ volumes: [hello.volume('main')], before: note('before'), after: note('after'), afterRestore: note('restored') });
    return withHost(built({ backup: whole }), async test => {
      await test.init('install');
      await test.run('set-greeting', { greeting: 'Saved' });
      await test.backup();
      await test.run('set-greeting', { greeting: 'Lost' });
      test.dataVersion = null;
      await test.init('restore');
      expect(test.read('main', 'hello.conf')).toBe('greeting=Saved\n');
      expect(test.dataVersion).toBe('1.0.0:0');
      expect(ran).toEqual(['before', 'after', 'restored']);
      expect(test.programs.argvs[0]?.slice(0, -2)).toEqual(['rsync', '--delete', '-rlptgoAXH', '--partial', '--inplace', '--timeout=300', '--info=progress2']);
    });
  });
});

describe('texts', () => {
  const texts = () => translations({ hi: 'Hi {name}', bye: 'Bye' }, { de: { hi: 'Hallo {name}', bye: 'Tschüss' } });

  it.each([['de_DE', 'Hallo Jo'], ['en_US', 'Hi Jo'], ['fr_FR', 'Hi Jo']])('in %s', (locale, expected) =>
    withHost(built(), async () => void (await Promise.resolve(expect(texts()('hi', { name: 'Jo' })).toBe(expected))), { locale }),
  );

  it('do not compile with a blank or a translation missing', () => {
    const t = texts();
    // @ts-expect-error: `name` is missing
    t('hi', {});
    // @ts-expect-error: `b` is missing
    translations({ a: 'A', b: 'B' }, { de: { a: 'A' } });
    expect(t('bye')).toBe('Bye');
  });
});

describe('shapes', () => {
  it('name everything that is wrong, and where', async () => {
    const schema = shape.object({ a: shape.array(shape.integer({ max: 3 })), b: shape.oneOf(['x', 'y']), c: shape.record(shape.boolean()) });
    await expect(parse(schema, { a: [1, 4, 'x'], b: 'z', c: { k: 1 } }, 'the file')).rejects.toThrow(
      'the file: `a.1` must be at most 3; `a.2` must be a number; `b` must be one of x, y; `c.k` must be true or false',
    );
  });
});

it('a task elsewhere asks until the values are these', () => {
  expect(taskOf({ packageId: 'store', actionId: 'config', severity: 'important', untilInput: { prune: null } })).toEqual({
    replayId: 'store:config',
    packageId: 'store',
    actionId: 'config',
    severity: 'important',
    when: { condition: 'input-not-matches', once: false },
    input: { kind: 'partial', accept: [{ prune: null }], set: { prune: null } },
  });
});

it('random texts differ, and keep to their letters', () => {
  expect(randomText(32)).not.toBe(randomText(32));
  expect(randomText(500, 'ab')).toMatch(/^[ab]{500}$/);
});
