/** Addresses out of what the host tells of its hosts. */
import type { BindInfo, Host, HostnameInfo } from './wire-network.js';

/** The gateway between services; its name is part of what hosts and packages have agreed on. */
const BRIDGE = 'lxcbr0';
const USUAL_PORTS: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443, ssh: 22 };

const isIp = ({ metadata }: HostnameInfo): boolean => metadata.kind === 'ipv4' || metadata.kind === 'ipv6';

const gateways = ({ metadata }: HostnameInfo): readonly string[] =>
  'gateways' in metadata ? metadata.gateways : 'gateway' in metadata ? [metadata.gateway] : [];

const inUrl = ({ hostname, metadata }: HostnameInfo): string => (metadata.kind === 'ipv6' ? `[${hostname}]` : hostname);

/** Whether the owner lets this address be used; the host judges in the same way. */
function isEnabled(address: HostnameInfo, { enabled, disabled, available }: BindInfo['addresses']): boolean {
  if (gateways(address).some(gateway => gateway === 'lo' || gateway === BRIDGE)) return true;
  if (address.public && isIp(address)) return enabled.includes(`${inUrl(address)}:${address.port}`);
  const isOff = disabled.some(([hostname, port]) => hostname === address.hostname && port === address.port);
  if (isOff || address.metadata.kind !== 'mdns') return !isOff;
  const reachable = available.filter(other => isIp(other) && !other.public && isEnabled(other, { enabled, disabled, available }));
  return gateways(address).some(gateway => reachable.some(other => gateways(other).includes(gateway)));
}

/** Which addresses are wanted. */
export interface UrlFilter {
  /** Only those of these kinds. */
  readonly kinds?: readonly HostnameInfo['metadata']['kind'][];
  /** Only those with, or without, TLS. */
  readonly ssl?: boolean;
  /** Also those that reach no further than this machine. */
  readonly internal?: boolean;
}

/**
 * The URLs of an interface that its owner lets be used; none when there is no such interface.
 *
 * @example
 * ```ts
 * import { hostOf, urlsOf, use, type Effects } from '@coppice/sdk';
 *
 * async function primaryUrl(effects: Effects): Promise<string | null> {
 *   const urls = await use(effects, hostOf('ui'), host => urlsOf(host, 8080, 'ui', { kinds: ['mdns'], ssl: true }));
 *   return urls[0] ?? null;
 * }
 * ```
 */
export function urlsOf(host: Host | null, port: number, interfaceId: string, filter: UrlFilter = {}): readonly string[] {
  const binding = host?.bindings[String(port)];
  const address = binding?.interfaces[interfaceId]?.addressInfo;
  if (binding === undefined || !binding.enabled || address === undefined) return [];
  const wanted = binding.addresses.available.filter(one => {
    if (filter.kinds !== undefined && !filter.kinds.includes(one.metadata.kind)) return false;
    if (filter.ssl !== undefined && one.ssl !== filter.ssl) return false;
    const isInternal = gateways(one).every(gateway => gateway === 'lo' || gateway === BRIDGE) && one.metadata.kind !== 'plugin';
    return (filter.internal === true || !isInternal) && isEnabled(one, binding.addresses);
  });
  return wanted.map(one => {
    const scheme = one.ssl ? (address.sslScheme ?? address.scheme) : (address.scheme ?? address.sslScheme);
    const port = one.port === null || USUAL_PORTS[scheme ?? ''] === one.port ? '' : `:${one.port}`;
    const user = address.username === null ? '' : `${address.username}@`;
    return `${scheme === null ? '' : `${scheme}://`}${user}${inUrl(one)}${port}${address.suffix}`;
  });
}

/**
 * Where another service's port is reached from this one, as `address:port`; null while it is not there.
 *
 * @example
 * ```ts
 * import { bridgeAddress, hostOf, use, type Effects } from '@coppice/sdk';
 *
 * const rpc = (effects: Effects) => use(effects, hostOf('rpc', 'bitcoind'), host => bridgeAddress(host, 8332));
 * ```
 */
export function bridgeAddress(host: Host | null, port: number, { ssl = false }: { readonly ssl?: boolean } = {}): string | null {
  const available = host?.bindings[String(port)]?.addresses.available ?? [];
  const found = available.find(one => one.metadata.kind === 'ipv4' && one.metadata.gateway === BRIDGE && one.ssl === ssl && one.port !== null);
  return found === undefined ? null : `${found.hostname}:${found.port}`;
}
