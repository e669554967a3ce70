import { sdk } from './sdk';
import { stations, vane } from './stations';

/** What a station does all day. */
export const turning = 'while :; do echo "$WIND $UNIT" > "/vane/$NAME.txt"; sleep 0.5; done';

/** Runs on every start. Another unit is another start; another set of stations is a matter of those stations only. */
export const mainWith = (script: string) =>
  sdk.setupMain(async ({ effects }) => {
    const unit = (await vane.read(v => v.UNIT).const(effects)) ?? 'knots';

    return sdk.Daemons.dynamic(effects, async ({ effects }) => {
      const all = (await stations.read(s => s.stations).const(effects)) ?? [];
      const mounts = sdk.Mounts.of().mountVolume({ volumeId: 'main', subpath: 'winds', mountpoint: '/vane', readonly: false });
      const box = (name: string) => sdk.SubContainer.of(effects, { imageId: 'web' }, mounts, name);
      const first = sdk.Daemons.of(effects).addOneshot('winds', {
        subcontainer: box('winds'),
        exec: { command: ['chown', 'web:web', '/vane'], user: 'root' },
        requires: [],
      });
      return all.reduce(
        (daemons, { name, wind, every }) =>
          daemons.addDaemon(`station-${name}`, {
            subcontainer: box(`station-${name}`),
            exec: {
              command: ['sh', '-c', script],
              env: { PATH: '/usr/bin:/bin', NAME: name, WIND: wind, UNIT: unit, ...(every === undefined ? {} : { EVERY: String(every) }) },
              user: 'web',
              sigtermTimeout: 2_000,
            },
            ready: {
              display: `Station ${name}`,
              gracePeriod: 3_000,
              fn: async () => {
                const said = await sdk.volumes.main.readFile(`winds/${name}.txt`).then(String, () => '');
                return said.startsWith(wind) ? { result: 'success', message: said.trim() } : { result: 'failure', message: 'It does not turn' };
              },
              trigger: sdk.trigger.cooldownTrigger(500),
            },
            requires: ['winds'],
          }) as typeof daemons,
        first,
      );
    });
  });
