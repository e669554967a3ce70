import type { T } from '@start9labs/start-sdk';
import { port } from './interfaces';
import { sdk } from './sdk';

/**
 * The address that Miniflux puts into its links: a domain of the owner's, else the name on the local network,
 * else null. `main` runs again when it changes.
 */
export async function ownUrl(effects: T.Effects): Promise<string | null> {
  const choose = sdk.host.getOwn(effects, 'ui', host => {
    const addresses = host?.bindings[port]?.interfaces['ui']?.addressInfo.filter({ predicate: a => a.ssl });
    const domain = addresses?.filter({ kind: 'domain' }).format()[0];
    return domain ?? addresses?.filter({ kind: 'mdns' }).format()[0] ?? null;
  });
  return choose.const();
}
