/** What the host calls: see `service-abi`, "The package module's exports". */
import { buildManifest } from '@start9labs/start-sdk';
import { config } from './config';
import { setInterfaces } from './interfaces';
import { manifest as ownManifest } from './manifest';
import { sdk } from './sdk';
import { setGreeting } from './setGreeting';
import { versions } from './versions';

export const manifest = buildManifest(versions, ownManifest);
export const actions = sdk.Actions.of().addAction(setGreeting);
export { main } from './main';

const { createBackup, restoreInit } = sdk.setupBackups(async () => sdk.Backups.ofVolumes('main'));
export { createBackup };

// Writes the file with its default where there is none yet.
const seed = sdk.setupOnInit(async effects => {
  await config.merge(effects, {});
});

export const init = sdk.setupInit(restoreInit, versions, seed, setInterfaces, actions);
export const uninit = sdk.setupUninit(versions);
