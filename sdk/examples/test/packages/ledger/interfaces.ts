import { sdk } from './sdk';

/** Where the page is served inside the container. */
export const port = 8080;

export const setInterfaces = sdk.setupInterfaces(async ({ effects }) => {
  const web = await sdk.MultiHost.of(effects, 'ui').bindPort(port, { protocol: 'http' });
  const ui = sdk.createInterface(effects, {
    id: 'ui',
    name: 'Page',
    description: 'The entries',
    type: 'ui',
    masked: false,
    schemeOverride: null,
    username: null,
    path: '/page.html',
    query: {},
  });
  return [await web.export([ui])];
});
