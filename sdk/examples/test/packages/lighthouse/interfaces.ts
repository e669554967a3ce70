import { ports, relays } from './ports';
import { sdk } from './sdk';

/** What version 2.0 has besides: metrics instead of the page for keepers. */
export type Ways = 'first' | 'second' | 'none';

export const setInterfacesOf = (ways: Ways) =>
  sdk.setupInterfaces(async ({ effects }) => {
    const described = { masked: false, schemeOverride: null, username: null, path: '', query: {} } as const;
    const shows = (id: string, name: string, type: 'ui' | 'api' | 'p2p', more = {}) =>
      sdk.createInterface(effects, { ...described, id, name, description: `${name} of the lighthouse`, type, ...more });
    if (ways === 'none') return [];

    const ui = await sdk.MultiHost.of(effects, 'ui').bindPort(ports.ui, { protocol: 'http', preferredExternalPort: 8080 });
    const pages = [shows('page', 'Page', 'ui')];
    if (ways === 'first') pages.push(shows('keeper', 'Page for keepers', 'ui', { path: '/keeper', query: { tab: 'lamp' }, username: 'keeper', masked: true }));

    // It brings a certificate of its own, so its TLS goes through untouched.
    const api = await sdk.MultiHost.of(effects, 'api').bindPort(ports.api, {
      protocol: null,
      preferredExternalPort: 8443,
      secure: { ssl: true },
      addSsl: null,
    });
    // TLS of the host's before a protocol that has none.
    const gate = await sdk.MultiHost.of(effects, 'gate').bindPort(ports.gate, {
      protocol: null,
      preferredExternalPort: 8081,
      secure: null,
      addSsl: { preferredExternalPort: 8444, addXForwardedHeaders: true, alpn: { specified: ['http/1.1'] }, auth: null },
    });
    const peers = await sdk.MultiHost.of(effects, 'peers').bindPort(ports.peers, {
      protocol: null,
      preferredExternalPort: ports.peers,
      secure: { ssl: false },
      addSsl: null,
    });
    const relay = await sdk.MultiHost.of(effects, 'peers').bindPortRange({
      internalStartPort: ports.relay,
      // Where no example listens.
      externalStartPort: ports.relay + 500,
      numberOfPorts: relays,
    });
    await relay.export(sdk.createRangeInterface(effects, { id: 'relay', name: 'Relay', description: 'Ports to relay by' }));
    const receipts = [
      await ui.export(pages),
      await api.export([shows('api', 'API', 'api', { schemeOverride: { ssl: 'https', noSsl: null } })]),
      await gate.export([shows('gate', 'Gate', 'api', { schemeOverride: { ssl: 'https', noSsl: 'http' } })]),
      await peers.export([shows('peers', 'Peers', 'p2p', { schemeOverride: { ssl: null, noSsl: 'beam' } })]),
    ];
    if (ways === 'second') {
      const metrics = await sdk.MultiHost.of(effects, 'metrics').bindPort(ports.metrics, { protocol: 'http' });
      receipts.push(await metrics.export([shows('metrics', 'Metrics', 'api', { path: '/metrics' })]));
    }
    return receipts;
  });
