import type { VersionGraph } from '@start9labs/start-sdk';
import { setStations } from './actions/setStations';
import { setUnit } from './actions/setUnit';
import { sdk } from './sdk';
import { look, stations, vane } from './stations';

export const { createBackup, restoreInit } = sdk.setupBackups(async () =>
  sdk.Backups.ofSyncs({ dataPath: '/media/startos/volumes/main/', backupPath: '/media/startos/backup/vane/' }),
);
export const actions = sdk.Actions.of().addAction(setStations).addAction(setUnit);

const seed = sdk.setupOnInit(async (effects, kind) => {
  if (kind !== 'install') return;
  await vane.write(effects, { UNIT: 'knots' });
  await stations.write(effects, { stations: [] });
  await look.write(effects, { rooster: { colour: 'gold' } });
  await sdk.action.createOwnTask(effects, setStations, 'critical', { reason: 'Without stations there is no wind' });
});

/** Tells people, once for each change, when the stations are others while nobody asked for it by an action. */
const tell = sdk.setupOnInit(async effects => {
  const names = (await stations.read(s => s.stations.map(({ name }) => name)).const(effects)) ?? [];
  if (names.includes('storm')) await sdk.notification.create(effects, { level: 'warning', title: 'Storm', message: names.join(', ') });
});

/** What the host calls when the container is made. */
export const initWith = (versions: VersionGraph<string>) => sdk.setupInit(restoreInit, versions, seed, tell, actions);
export const uninitWith = (versions: VersionGraph<string>) => sdk.setupUninit(versions);
