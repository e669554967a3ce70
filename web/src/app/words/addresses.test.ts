import { describe, expect, it } from 'vitest';
import { entry } from '../testing/sample';
import { openableUis, openTargets, type Page } from './addresses';

const iface = (id: string, type = 'ui', over: Record<string, unknown> = {}) => ({
  id,
  name: id,
  description: '',
  masked: false,
  type,
  addressInfo: { username: null, hostId: 'main', internalPort: 80, scheme: 'http', sslScheme: 'https', suffix: '', ...over },
});
const ip = (hostname: string, port: number, ssl: boolean, gateway = 'eth0', isPublic = false) => ({
  ssl,
  public: isPublic,
  hostname,
  port,
  metadata: { kind: 'ipv4', gateway },
});
const mdns = (hostname: string, port: number | null, ssl = true) => ({
  ssl,
  public: false,
  hostname,
  port,
  metadata: { kind: 'mdns', gateways: ['eth0'] },
});
const lan: Page = { protocol: 'https:', hostname: '192.168.1.5', port: '' };

function targets(available: unknown[], page = lan, over: Record<string, unknown> = {}, interfaces: unknown = { web: iface('web') }) {
  const bindings = { 80: { enabled: true, addresses: { enabled: [], disabled: [], available, ...over }, interfaces } };
  return openTargets('hello', entry({ hosts: { main: { bindings } } }), 'grove', page);
}
const urls = (...args: Parameters<typeof targets>) => targets(...args)[0]?.addresses.map(a => a.url);

describe('addresses', () => {
  it('begin with the name of the service itself, on the port this page uses', () => {
    expect(urls([], lan)).toEqual(['https://hello-grove.local']);
    expect(urls([], { ...lan, port: '8443' })).toEqual(['https://hello-grove.local:8443']);
  });
  it('do not guess a TLS name for a page that was reached without TLS', () => {
    expect(urls([], { ...lan, protocol: 'http:' })).toEqual([]);
  });
  it('list the own name once when the server lists it too', () => {
    expect(urls([mdns('hello-grove.local', 8443), ip('192.168.1.5', 8443, true)])).toEqual([
      'https://hello-grove.local:8443',
      'https://192.168.1.5:8443',
    ]);
  });
  it('leave out what only exists inside the server', () => {
    expect(urls([ip('127.0.0.1', 80, false, 'lo'), ip('10.0.3.1', 80, false, 'lxcbr0')])).toEqual([
      'https://hello-grove.local',
    ]);
  });
  it('prefer the way this page was reached, then TLS, then names', () => {
    expect(
      urls([
        ip('192.168.1.9', 49200, true),
        ip('192.168.1.5', 49152, false),
        ip('192.168.1.5', 49200, true),
        mdns('grove.local', 49200),
      ])?.slice(1),
    ).toEqual([
      'https://192.168.1.5:49200',
      'http://192.168.1.5:49152',
      'https://grove.local:49200',
      'https://192.168.1.9:49200',
    ]);
  });
  it('need a public IP to be switched on, and everything else not to be switched off', () => {
    const available = [ip('203.0.113.7', 443, true, 'eth0', true), ip('192.168.1.5', 49200, true)];
    expect(urls(available)).not.toContain('https://203.0.113.7');
    expect(urls(available, lan, { enabled: ['203.0.113.7:443'] })).toContain('https://203.0.113.7');
    expect(urls(available, lan, { disabled: [['192.168.1.5', 49200]] })).not.toContain('https://192.168.1.5:49200');
  });
  it('drop a local name when none of its gateways has an address left', () => {
    const available = [mdns('grove.local', 49200), ip('192.168.1.5', 49200, true)];
    expect(urls(available)).toContain('https://grove.local:49200');
    expect(urls(available, lan, { disabled: [['192.168.1.5', 49200]] })).not.toContain('https://grove.local:49200');
  });
  it('carry user name, suffix and IPv6 brackets', () => {
    const v6 = { ssl: false, public: false, hostname: 'fd00::5', port: 8080, metadata: { kind: 'ipv6', gateway: 'eth0', scopeId: 0 } };
    const web = iface('web', 'api', { username: 'me', suffix: '/app?x=1' });
    expect(urls([v6], lan, {}, { web })).toEqual(['http://me@[fd00::5]:8080/app?x=1']);
  });
  it('give only the first UI the name of the service', () => {
    const found = targets([], lan, {}, { admin: iface('admin'), web: iface('web'), rpc: iface('rpc', 'api') });
    expect(found.map(t => [t.id, t.addresses.length])).toEqual([['admin', 1], ['web', 0], ['rpc', 0]]);
    expect(openableUis(found).map(t => t.id)).toEqual(['admin']);
  });
  it('are not offered while the service is being removed', () => {
    const { manifest } = entry().stateInfo as { manifest: unknown };
    const bindings = { 80: { enabled: true, addresses: { enabled: [], disabled: [], available: [] }, interfaces: { web: iface('web') } } };
    const removing = entry({ hosts: { main: { bindings } }, stateInfo: { state: 'removing', manifest } });
    expect(openTargets('hello', removing, 'grove', lan)).toEqual([]);
  });
  it('of a binding that is off are not offered', () => {
    const bindings = { 80: { enabled: false, addresses: { enabled: [], disabled: [], available: [] }, interfaces: { web: iface('web') } } };
    expect(openTargets('hello', entry({ hosts: { main: { bindings } } }), 'grove', lan)).toEqual([]);
  });
});
