import { utils, type VersionGraph } from '@start9labs/start-sdk';
import { actions } from './actions';
import { setOwner } from './actions/setOwner';
import { restoreInit } from './backups';
import { i18n } from './i18n';
import { setInterfaces } from './interfaces';
import { sdk } from './sdk';
import { store } from './store';

const seed = sdk.setupOnInit(async (effects, kind) => {
  if (kind !== 'install') return;
  await store.write(effects, {
    databasePassword: utils.getDefaultString({ charset: 'a-z,0-9', len: 22 }),
    owner: null,
    published: false,
    currency: undefined,
  });
  await sdk.action.createOwnTask(effects, setOwner, 'critical', { replayId: 'owner', reason: i18n('Whose ledger is this?') });
});

/** What the host calls when the container is made. */
export const initWith = (versions: VersionGraph<string>) =>
  sdk.setupInit(restoreInit, versions, seed, setInterfaces, actions);
export const uninitWith = (versions: VersionGraph<string>) => sdk.setupUninit(versions);
