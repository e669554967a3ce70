import type { T } from '@start9labs/start-sdk';
import { ports } from '../ports';
import { sdk } from '../sdk';

/** The ways in, as links. */
const links = async (effects: T.Effects, host: string, port: number, id: string) =>
  sdk.host.getOwn(effects, host, it => it?.bindings[port]?.interfaces[id]?.addressInfo?.format() ?? null).once();

/** Shows the ways in, as they are known from inside. */
export const addresses = sdk.Action.withoutInput(
  'addresses',
  {
    name: 'Addresses',
    description: 'The ways in, as they are known from inside.',
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  },
  async ({ effects }) => {
    const { assignedPort, assignedSslPort } = await sdk.getServicePortForward(effects, { hostId: 'ui', internalPort: ports.ui });
    const told = {
      page: await links(effects, 'ui', ports.ui, 'page'),
      keeper: await links(effects, 'ui', ports.ui, 'keeper'),
      api: await links(effects, 'api', ports.api, 'api'),
      gate: await links(effects, 'gate', ports.gate, 'gate'),
      peers: await links(effects, 'peers', ports.peers, 'peers'),
      relay: await sdk.host.getOwn(effects, 'peers', host => host?.bindingRanges[ports.relay]?.externalStartPort ?? null).once(),
      near: await sdk.host.getBridgeAddress(effects, { hostId: 'ui', internalPort: ports.ui, ssl: false }).once(),
      forward: { assignedPort, assignedSslPort },
      os: await sdk.getOsIp(effects),
      own: await sdk.getContainerIp(effects).once(),
      mail: await sdk.getSystemSmtp(effects).once(),
      gateway: await sdk.getOutboundGateway(effects).once(),
    };
    return { version: '1', title: 'Addresses', message: JSON.stringify(told), result: null };
  },
);
