import type { VersionGraph } from '@start9labs/start-sdk';
import { actions } from './actions';
import { beds } from './beds';
import { askToPublish, setDependencies } from './dependencies';
import { setInterfaces } from './interfaces';
import { sdk } from './sdk';

export const { createBackup, restoreInit } = sdk.setupBackups(['main']);

const seed = sdk.setupOnInit(async (effects, kind) => {
  if (kind === 'install') await beds.write(effects, { beds: [{ name: 'north' }] });
});

/** What the host calls when the container is made. */
export const initWith = (versions: VersionGraph<string>) =>
  sdk.setupInit(restoreInit, versions, seed, setInterfaces, setDependencies, actions, askToPublish);
export const uninitWith = (versions: VersionGraph<string>) => sdk.setupUninit(versions);
