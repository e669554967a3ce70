import { shine } from './lamps';
import { ports } from './ports';
import { sdk } from './sdk';
import { seen } from './seen';

/** Runs on every start, and again when its own address on the local network is another. Without `lit` nothing shines. */
export const mainWith = (lit: boolean) => sdk.setupMain(async ({ effects }) => {
  const page = await sdk.host
    .getOwn(effects, 'ui', host => host?.bindings[ports.ui]?.interfaces['page']?.addressInfo?.filter({ kind: 'mdns' }).format()[0])
    .const();
  const starts = (await seen.read(s => s.starts).once()) ?? 0;
  await seen.merge(effects, { starts: starts + 1, ...(page === undefined ? {} : { page }) });
  const listening = (name: string, port: number) => ({
    display: name,
    fn: () => sdk.healthCheck.checkPortListening(effects, port, { successMessage: `${name} shines`, errorMessage: `${name} is dark` }),
    trigger: sdk.trigger.cooldownTrigger(1_000),
  });

  return sdk.Daemons.of(effects)
    .addDaemon('lamps', {
      subcontainer: null,
      exec: {
        fn: async (_, abort) => {
          if (lit) await shine(effects, abort);
          return null;
        },
      },
      ready: { ...listening('Page', ports.ui), gracePeriod: 5_000 },
      requires: [],
    })
    .addHealthCheck('api', { ready: listening('API', ports.api), requires: ['lamps'] })
    .addHealthCheck('keeper', { ready: { display: 'Keeper', fn: () => ({ result: 'disabled', message: 'Nobody keeps it' }) }, requires: ['lamps'] });
});
