import { sdk } from './sdk';

/** Where Miniflux listens inside the container. */
export const port = 8080;

/** The web UI, reachable over HTTPS at an address of the host's choice. */
export const setInterfaces = sdk.setupInterfaces(async ({ effects }) => {
  const origin = await sdk.MultiHost.of(effects, 'ui').bindPort(port, { protocol: 'http' });
  const ui = sdk.createInterface(effects, {
    id: 'ui',
    name: 'Web UI',
    description: 'The feed reader; also the address that feed apps are given',
    type: 'ui',
    masked: false,
    schemeOverride: null,
    username: null,
    path: '',
    query: {},
  });
  return [await origin.export([ui])];
});
