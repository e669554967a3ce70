import type { VersionGraph } from '@start9labs/start-sdk';
import { addresses } from './actions/addresses';
import { setInterfacesOf, type Ways } from './interfaces';
import { sdk } from './sdk';

export const { createBackup, restoreInit } = sdk.setupBackups(async () => sdk.Backups.ofVolumes('main'));
export const actions = sdk.Actions.of().addAction(addresses);

/** What the host calls when the container is made. */
export const initWith = (versions: VersionGraph<string>, ways: Ways) =>
  sdk.setupInit(restoreInit, versions, setInterfacesOf(ways), actions);
export const uninitWith = (versions: VersionGraph<string>) => sdk.setupUninit(versions);
