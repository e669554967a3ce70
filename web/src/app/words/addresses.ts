/**
 * From the address list of a service to the links a person can open.
 *
 * Invariant: only addresses that are enabled and reachable from outside the server are offered,
 * and the service's own HTTPS name comes first.
 */
import type { Binding, Addresses, HostnameInfo, PackageEntry, ServiceInterface } from '../api/schema';

/** Where the browser sees this page; the parts of `location` that matter. */
export interface Page {
  readonly protocol: string;
  readonly hostname: string;
  readonly port: string;
}

export interface Address {
  readonly url: string;
  /** "Own name", "LAN address" and so on. */
  readonly label: string;
}

export interface OpenTarget {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly type: ServiceInterface['type'];
  readonly masked: boolean;
  /** The best address first; empty when nothing is enabled. */
  readonly addresses: readonly Address[];
}

/** Gateways that only exist inside the server. */
const INTERNAL = new Set(['lo', 'lxcbr0']);
const DEFAULT_PORTS: Record<string, number> = { http: 80, https: 443, ws: 80, wss: 443, ssh: 22 };

/** Every interface of the service with its usable addresses, UIs first. */
export function openTargets(
  packageId: string,
  entry: PackageEntry,
  hostname: string,
  page: Page,
): readonly OpenTarget[] {
  // While it is being installed or removed, nothing listens where the document still says so.
  if (entry.stateInfo.state !== 'installed') return [];
  const targets: OpenTarget[] = [];
  let ownNameTaken = false;
  for (const binding of bindings(entry)) {
    for (const [, iface] of sorted(binding.interfaces)) {
      // The first UI of a service is served at a name of its own; see the routing table.
      const own = iface.type === 'ui' && !ownNameTaken ? ownName(packageId, hostname) : null;
      ownNameTaken ||= iface.type === 'ui';
      targets.push(target(iface, binding, own, page));
    }
  }
  const order = { ui: 0, api: 1, p2p: 2 } as const;
  return targets.sort((a, b) => order[a.type] - order[b.type] || a.name.localeCompare(b.name));
}

/** The UIs that can be opened in a browser tab now. */
export function openableUis(targets: readonly OpenTarget[]): readonly OpenTarget[] {
  return targets.filter(t => t.type === 'ui' && t.addresses.length > 0);
}

function ownName(packageId: string, hostname: string): string {
  return `${packageId}-${hostname}.local`;
}

function bindings(entry: PackageEntry): Binding[] {
  return sorted(entry.hosts).flatMap(([, host]) =>
    Object.entries(host.bindings)
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, binding]) => binding)
      .filter(({ enabled }) => enabled),
  );
}

function sorted<T>(record: Record<string, T>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => a.localeCompare(b));
}

function target(iface: ServiceInterface, binding: Binding, own: string | null, page: Page): OpenTarget {
  const found = usable(binding.addresses)
    .map(info => ({ info, url: urlOf(iface, info) }))
    .filter((a): a is { info: HostnameInfo; url: string } => a.url !== null)
    .map(({ info, url }) => ({ url, label: labelOf(info, own), rank: rankOf(info, own, page) }));
  if (own !== null && page.protocol === 'https:' && !found.some(a => a.rank === 0)) {
    const port = page.port === '' || page.port === '443' ? '' : `:${page.port}`;
    const url = `https://${own}${port}${iface.addressInfo.suffix}`;
    found.push({ url, label: 'Own name', rank: 0 });
  }
  const addresses = found
    .sort((a, b) => a.rank - b.rank)
    .filter((a, i, all) => all.findIndex(b => b.url === a.url) === i)
    .map(({ url, label }) => ({ url, label }));
  const { id, name, description, type, masked } = iface;
  return { id, name, description, type, masked, addresses };
}

/** The enabled ones that reach beyond the server: service-abi.md §8.3, "enabled subset". */
function usable({ available, enabled, disabled }: Addresses): HostnameInfo[] {
  const off = (name: string, port: number | null) => disabled.some(([n, p]) => n === name && p === port);
  const lanIpOn = (gateway: string) =>
    available.some(
      a =>
        a.metadata.kind === 'ipv4' && a.metadata.gateway === gateway && !a.public && !off(a.hostname, a.port),
    );
  return available.filter(info => {
    const { metadata, hostname, port } = info;
    if ((metadata.kind === 'ipv4' || metadata.kind === 'ipv6') && INTERNAL.has(metadata.gateway)) return false;
    if (info.public && (metadata.kind === 'ipv4' || metadata.kind === 'ipv6')) {
      return enabled.includes(`${hostname}:${port}`);
    }
    if (off(hostname, port)) return false;
    return metadata.kind !== 'mdns' || metadata.gateways.length === 0 || metadata.gateways.some(lanIpOn);
  });
}

function urlOf({ addressInfo }: ServiceInterface, info: HostnameInfo): string | null {
  const scheme = info.ssl ? (addressInfo.sslScheme ?? addressInfo.scheme) : addressInfo.scheme;
  if (!scheme) return null;
  const user = addressInfo.username ? `${encodeURIComponent(addressInfo.username)}@` : '';
  const name = info.metadata.kind === 'ipv6' ? `[${info.hostname}]` : info.hostname;
  const port = info.port === null || info.port === DEFAULT_PORTS[scheme] ? '' : `:${info.port}`;
  return `${scheme}://${user}${name}${port}${addressInfo.suffix}`;
}

function labelOf(info: HostnameInfo, own: string | null): string {
  if (info.hostname === own) return 'Own name';
  switch (info.metadata.kind) {
    case 'mdns':
      return 'Local name';
    case 'private-domain':
      return 'Private domain';
    case 'public-domain':
      return 'Public domain';
    case 'plugin':
      return 'Extra address';
    case 'ipv4':
    case 'ipv6':
      return info.public ? 'Internet address' : 'LAN address';
  }
}

/** Own name, then the way this page itself was reached, then names over numbers, TLS over plain. */
function rankOf(info: HostnameInfo, own: string | null, page: Page): number {
  if (info.hostname === own && info.ssl) return 0;
  const samePath = info.hostname === page.hostname ? 0 : 2;
  const kinds = ['public-domain', 'private-domain', 'mdns', 'ipv4', 'ipv6', 'plugin'];
  return 1 + samePath + (info.ssl ? 0 : 1) + kinds.indexOf(info.metadata.kind) / 10;
}
