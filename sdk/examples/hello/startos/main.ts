import { config } from './config';
import { port } from './interfaces';
import { sdk } from './sdk';

/** Runs on every start. */
export const main = sdk.setupMain(async ({ effects }) => {
  // The server reads its file once. Reading it here with `const` restarts this function, and so the server,
  // whenever the file changes.
  await config.read().const(effects);

  const mounts = sdk.Mounts.of().mountVolume({
    volumeId: 'main',
    subpath: null,
    mountpoint: '/data',
    readonly: true,
  });

  return sdk.Daemons.of(effects).addDaemon('server', {
    subcontainer: sdk.SubContainer.of(effects, { imageId: 'hello' }, mounts, 'server'),
    exec: { command: sdk.useEntrypoint() },
    ready: {
      display: 'Page',
      fn: () =>
        sdk.healthCheck.checkPortListening(effects, port, {
          successMessage: 'The page is ready',
          errorMessage: 'The page is not ready',
        }),
      // The server is up within milliseconds; the SDK would look for the first time after a second.
      trigger: sdk.trigger.statusTrigger(5_000, { starting: 50, waiting: 50, failure: 50 }),
    },
    requires: [],
  });
});
