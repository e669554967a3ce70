import { http } from '@coppice/sdk';

/** Where the wiki listens inside the container. */
export const port = 8080;

/** The wiki, reachable over HTTPS at an address of the host's choice. */
export const ui = http({ host: 'ui', port, interfaces: [{ id: 'ui', name: 'Wiki', description: 'The notes' }] });
