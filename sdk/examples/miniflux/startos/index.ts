/** What the host calls: see `service-abi`, "The package module's exports". */
import { buildManifest, utils } from '@start9labs/start-sdk';
import { setInterfaces } from './interfaces';
import { manifest as ownManifest } from './manifest';
import { dump } from './postgres';
import { sdk } from './sdk';
import { setAdmin } from './setAdmin';
import { store } from './store';
import { versions } from './versions';

export const manifest = buildManifest(versions, ownManifest);
export const actions = sdk.Actions.of().addAction(setAdmin);
export { main } from './main';

const { createBackup, restoreInit } = sdk.setupBackups(async () =>
  sdk.Backups.withPgDump({
    ...dump,
    password: async () => (await store.read(s => s.databasePassword).once()) ?? '',
  }).addVolume('main'),
);
export { createBackup };

const seed = sdk.setupOnInit(async (effects, kind) => {
  if (kind !== 'install') return;
  const databasePassword = utils.getDefaultString({ charset: 'a-z,A-Z,0-9', len: 32 });
  await store.write(effects, { databasePassword, admin: null });
});

// On every init, not only at install: whoever has not answered is asked again. The task is critical, so
// nothing starts before; a Miniflux without an account is one that nobody can log in to.
const askForAdmin = sdk.setupOnInit(async effects => {
  if ((await store.read(s => s.admin).once()) !== null) return;
  await sdk.action.createOwnTask(effects, setAdmin, 'critical', {
    reason: 'Miniflux needs an account before its first start',
  });
});

export const init = sdk.setupInit(restoreInit, versions, seed, setInterfaces, actions, askForAdmin);
export const uninit = sdk.setupUninit(versions);
