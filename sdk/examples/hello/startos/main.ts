import { daemon, entrypoint, portListening, units, use, type Effects, type Units } from '@coppice/sdk';
import { config } from './config';
import { port } from './interfaces';
import { hello } from './package';

/** What runs. */
export async function daemons(effects: Effects): Promise<Units> {
  // The server reads its file once. Using it here restarts the service whenever the action has changed it.
  await use(effects, config.asWritten);

  return units({
    server: daemon({
      in: hello.subcontainer({ image: 'hello', mounts: [hello.volume('main').at('/data', { readonly: true })] }),
      command: entrypoint(),
      // It has nothing to save and no handler for SIGTERM, which as the first process of its image it would need.
      graceMs: 500,
      ready: {
        name: 'Page',
        check: portListening(port, { well: 'The page is ready', unwell: 'The page is not ready' }),
      },
    }),
  });
}
