import { mkdir, writeFile } from 'node:fs/promises';
import { daemon, entrypoint, portListening, units, use, type Effects, type Units } from '@coppice/sdk';
import { pkg } from './package.js';
import { settings } from './settings.js';

/** Where the server listens inside the container; see `images/web.sh`. */
export const port = 8080;

const main = pkg.volume('main');

/** What runs. Called on every start, and again when what it uses changes. */
export async function daemons(effects: Effects): Promise<Units> {
  const { text } = await use(effects, settings.asWritten);
  await mkdir(main.path('www'), { recursive: true });
  await writeFile(main.path('www/index.html'), `<!doctype html><meta charset="utf-8"><h1>${escaped(text)}</h1>\n`);

  return units({
    web: daemon({
      in: pkg.subcontainer({ image: 'web', mounts: [main.at('/data', { subpath: 'www', readonly: true })] }),
      command: entrypoint(),
      // This server has nothing to save and no handler for SIGTERM, see `graceMs`.
      graceMs: 500,
      ready: { name: 'Page', check: portListening(port, { well: 'The page is ready' }) },
    }),
  });
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
