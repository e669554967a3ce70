/** What the host calls: see `service-abi`, "The package module's exports". */
import { buildManifest, utils } from '@start9labs/start-sdk';
import { setInterfaces } from './interfaces';
import { login } from './login';
import { manifest as ownManifest } from './manifest';
import { sdk } from './sdk';
import { showLogin } from './showLogin';
import { versions } from './versions';

export const manifest = buildManifest(versions, ownManifest);
export const actions = sdk.Actions.of().addAction(showLogin);
export { main } from './main';

// The index is made again from the files, and is the larger for many of them.
const { createBackup, restoreInit } = sdk.setupBackups(async () =>
  sdk.Backups.withOptions({ exclude: ['config/index-*'] }).addVolume('main'),
);
export { createBackup };

const seed = sdk.setupOnInit(async (effects, kind) => {
  if (kind !== 'install') return;
  const password = utils.getDefaultString({ charset: 'a-z,A-Z,0-9', len: 24 });
  await login.write(effects, { username: 'admin', password });
});

export const init = sdk.setupInit(restoreInit, versions, seed, setInterfaces, actions);
export const uninit = sdk.setupUninit(versions);
