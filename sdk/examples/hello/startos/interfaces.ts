import { sdk } from './sdk';

/** Where the server listens inside the container; see `server/main.rs`. */
export const port = 8080;

/** The page, reachable over HTTPS at an address of the host's choice. */
export const setInterfaces = sdk.setupInterfaces(async ({ effects }) => {
  const origin = await sdk.MultiHost.of(effects, 'ui').bindPort(port, { protocol: 'http' });
  const page = sdk.createInterface(effects, {
    id: 'ui',
    name: 'Page',
    description: 'The page with the greeting',
    type: 'ui',
    masked: false,
    schemeOverride: null,
    username: null,
    path: '',
    query: {},
  });
  return [await origin.export([page])];
});
