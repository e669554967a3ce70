import { http } from '@coppice/sdk';

/** Where the server listens inside the container; see `server/main.rs`. */
export const port = 8080;

/** The page, reachable over HTTPS at an address of the host's choice. */
export const page = http({
  host: 'ui',
  port,
  interfaces: [{ id: 'ui', name: 'Page', description: 'The page with the greeting' }],
});
