import { settings } from '../ledger/lighttpd';
import { port as ledgersPort } from '../ledger/interfaces';
import { beds } from './beds';
import { ledgersPage } from './dependencies';
import { port } from './interfaces';
import { sdk } from './sdk';

/** Runs on every start; `listen` is where lighttpd listens, which is where it is looked for if all is well. */
export const mainOn = (listen: number) =>
  sdk.setupMain(async ({ effects }) => {
    const all = (await beds.read(b => b.beds).const(effects)) ?? [];
    const ledger = { packageId: 'ledger', hostId: 'ui' };
    const links = await sdk.host
      .get(effects, ledger, host => host?.bindings[ledgersPort]?.interfaces['ui']?.addressInfo?.nonLocal.format() ?? [])
      .const();
    const near = await sdk.host.getBridgeAddress(effects, { ...ledger, internalPort: ledgersPort, ssl: false }).const();
    const mounts = ledgersPage.mountVolume({ volumeId: 'main', subpath: 'pages', mountpoint: '/srv/site/pages', readonly: false });
    const web = sdk.SubContainer.of(effects, { imageId: 'web' }, mounts, 'web');

    return sdk.Daemons.of(effects)
      .addOneshot('page', {
        subcontainer: web,
        exec: {
          fn: async box => {
            await box.writeFile('/etc/greenhouse.conf', settings(listen, '/srv/site'));
            const page = [...all.map(bed => `bed ${bed.name} ${bed.crop ?? 'fallow'}`), ...links].join('\n');
            await box.execFail(['sh', '-c', 'cat > "$PAGE"'], { input: page, env: { PAGE: 'beds.html' }, cwd: '/srv/site', user: 'root' });
            return { command: ['sh', '-c', 'touch /srv/site/pages/made'], user: 'root' };
          },
        },
        requires: [],
      })
      .addDaemon('web', {
        subcontainer: web,
        exec: { command: ['lighttpd', '-D', '-f', '/etc/greenhouse.conf'] },
        ready: {
          display: 'Page',
          gracePeriod: 2_000,
          fn: () =>
            sdk.healthCheck.checkPortListening(effects, port, {
              successMessage: 'The page is there',
              errorMessage: 'Nobody serves the page',
            }),
        },
        requires: ['page'],
      })
      .addHealthCheck('ledger', {
        ready: {
          display: 'Ledger',
          gracePeriod: 0,
          fn: async () => {
            const needs = await sdk.checkDependencies(effects);
            if (!needs.satisfied()) return { result: 'failure', message: 'The ledger is not as it is needed' };
            return sdk.healthCheck.checkWebUrl(effects, `http://${near}/page.html`, { timeout: 2_000, successMessage: 'The ledger answers' });
          },
          trigger: sdk.trigger.cooldownTrigger(1_000),
        },
        requires: ['web'],
      });
  });
