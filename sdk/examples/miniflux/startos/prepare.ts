import type { Subcontainer } from '@coppice/sdk';
import { store } from './store.js';

/** What Miniflux does once on every start, before it serves: brings its tables up to date, and makes the first account. */
export async function prepare(miniflux: Subcontainer, settings: Readonly<Record<string, string>>): Promise<void> {
  await miniflux.writeFile(MIGRATING, lines(settings));
  await miniflux.run(['miniflux', '-c', MIGRATING, '-migrate'], { timeoutMs: null });

  const { admin } = await store.read();
  if (admin?.password == null) return;
  // Miniflux makes accounts from its settings whenever it starts; its cleanup task is a start that ends. (The
  // command that is meant for it insists on a terminal.) An account that exists is left as it is.
  const account = { CREATE_ADMIN: '1', ADMIN_USERNAME: admin.username, ADMIN_PASSWORD: admin.password };
  await miniflux.writeFile(MIGRATING, lines({ ...settings, ...account }));
  await miniflux.run(['miniflux', '-c', MIGRATING, '-run-cleanup-tasks'], { timeoutMs: null });
  await store.merge({ admin: { password: null } });
}

/** In a subcontainer that ends with this work, and the file with it. */
const MIGRATING = '/etc/miniflux.conf';

const lines = (all: Readonly<Record<string, string>>): string =>
  Object.entries(all).map(([name, value]) => `${name}=${value}\n`).join('');
