import { access, rename, rm } from 'node:fs/promises';
import type { SubContainer } from '@start9labs/start-sdk';
import { uiPort } from './interfaces';
import { login } from './login';
import type { manifest } from './manifest';
import { sdk } from './sdk';

/** The part of the volume that Syncthing sees; the login next to it is none of what it may share. */
const part = 'syncthing';
/** Where that part appears: Syncthing's settings, its keys, and the folders it keeps. */
const home = '/var/lib/syncthing';
const settings = `${home}/config`;

/** Runs on every start. */
export const main = sdk.setupMain(async ({ effects }) => {
  const mounts = sdk.Mounts.of().mountVolume({
    volumeId: 'main',
    subpath: part,
    mountpoint: home,
    readonly: false,
  });
  const subcontainer = sdk.SubContainer.of(effects, { imageId: 'syncthing' }, mounts, 'syncthing');

  return sdk.Daemons.of(effects)
    .addOneshot('prepare', {
      subcontainer,
      exec: {
        fn: async syncthing => {
          await prepare(syncthing);
          return null;
        },
      },
      requires: [],
    })
    .addDaemon('syncthing', {
      subcontainer,
      exec: {
        command: [
          'syncthing',
          'serve',
          `--home=${settings}`,
          `--gui-address=http://0.0.0.0:${uiPort}`,
          '--no-browser',
          // Whoever supervises this daemon restarts it, too.
          '--no-restart',
        ],
      },
      ready: {
        display: 'Web UI',
        fn: () =>
          sdk.healthCheck.checkPortListening(effects, uiPort, {
            successMessage: 'The web UI is ready',
            errorMessage: 'The web UI is not ready',
          }),
        trigger: sdk.trigger.statusTrigger(5_000, { starting: 200, waiting: 200, failure: 500 }),
      },
      requires: ['prepare'],
    });
});

/**
 * Makes keys and settings, with a login, before the first start: the web UI is never open to everybody.
 *
 * They are made under another name and renamed at the end, so that a power cut cannot leave settings without
 * a password.
 */
async function prepare(syncthing: SubContainer<typeof manifest>): Promise<void> {
  const finished = sdk.volumes.main.subpath(`${part}/config`);
  if (await access(`${finished}/config.xml`).then(() => true, () => false)) return;

  const first = await login.read().once();
  if (!first) throw new Error('login.json is missing from the volume `main`; reinstall or restore Syncthing');
  await rm(`${finished}.new`, { recursive: true, force: true });
  await syncthing.execFail(['chown', 'syncthing:syncthing', home], { user: 'root' });
  // The password goes in by a pipe: arguments can be read by others.
  await syncthing.execFail(
    [
      'syncthing',
      'generate',
      `--home=${settings}.new`,
      '--no-default-folder',
      '--skip-port-probing',
      `--gui-user=${first.username}`,
      '--gui-password=-',
    ],
    { input: `${first.password}\n` },
    null,
  );
  await rename(`${finished}.new`, finished);
}
