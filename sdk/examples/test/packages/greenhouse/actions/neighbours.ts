import { getDataVersion } from '@start9labs/start-sdk';
import { sdk } from '../sdk';

/** Shows what is known of the other services. */
export const neighbours = sdk.Action.withoutInput(
  'neighbours',
  {
    name: 'Neighbours',
    description: 'What is known of other services.',
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  },
  async ({ effects }) => {
    const needs = await sdk.checkDependencies(effects);
    const manifest = await sdk.getServiceManifest(effects, 'ledger').once();
    const told = {
      packages: await sdk.getInstalledPackages(effects),
      satisfied: needs.satisfied(),
      running: needs.runningSatisfied('ledger'),
      tasks: needs.tasksSatisfied('ledger'),
      version: manifest?.version ?? null,
      started: (await sdk.getStatus(effects, { packageId: 'ledger' }).once())?.started != null,
      address: await sdk.getContainerIp(effects, { packageId: 'ledger' }).once(),
      dataVersion: (await getDataVersion(effects))?.toString() ?? null,
    };
    return { version: '1', title: 'Neighbours', message: JSON.stringify(told), result: null };
  },
);
