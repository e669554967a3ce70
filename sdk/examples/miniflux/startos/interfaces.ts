import { hostOf, http, mapped, urlsOf, type Source } from '@coppice/sdk';

/** Where Miniflux listens inside the container. */
export const port = 8080;

/** The web UI, reachable over HTTPS at an address of the host's choice. */
export const ui = http({
  host: 'ui',
  port,
  interfaces: [{ id: 'ui', name: 'Web UI', description: 'The feed reader; also the address that feed apps are given' }],
});

/** The address that Miniflux puts into its links: a domain of the owner's, else the name on the local network, else null. */
export const ownUrl: Source<string | null> = mapped(hostOf('ui'), host => {
  const first = (...kinds: readonly ('public-domain' | 'private-domain' | 'mdns')[]): string | undefined =>
    urlsOf(host, port, 'ui', { kinds, ssl: true })[0];
  return first('public-domain', 'private-domain') ?? first('mdns') ?? null;
});
