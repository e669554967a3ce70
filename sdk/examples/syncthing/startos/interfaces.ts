import { sdk } from './sdk';

/** Where the web UI listens inside the container. */
export const uiPort = 8384;
/** Where other devices connect to, over TCP and over UDP (QUIC). */
export const syncPort = 22000;

/** The web UI, and the port for other devices. */
export const setInterfaces = sdk.setupInterfaces(async ({ effects }) => {
  const web = await sdk.MultiHost.of(effects, 'ui').bindPort(uiPort, { protocol: 'http' });
  const ui = sdk.createInterface(effects, {
    id: 'ui',
    name: 'Web UI',
    description: 'Folders, devices and settings',
    type: 'ui',
    masked: false,
    schemeOverride: null,
    username: null,
    path: '',
    query: {},
  });

  // Syncthing encrypts and checks who calls by itself, so the port may be opened as it is (`secure`), and no
  // TLS of the host's is put before it (`ssl: false`, `addSsl: null`): that could not carry QUIC.
  const peers = await sdk.MultiHost.of(effects, 'sync').bindPort(syncPort, {
    protocol: null,
    preferredExternalPort: syncPort,
    secure: { ssl: false },
    addSsl: null,
  });
  const sync = sdk.createInterface(effects, {
    id: 'sync',
    name: 'Device connections',
    description: 'Give this address to a device that does not find this one by itself',
    type: 'p2p',
    masked: false,
    schemeOverride: { ssl: null, noSsl: 'tcp' },
    username: null,
    path: '',
    query: {},
  });
  return [await web.export([ui]), await peers.export([sync])];
});
