/**
 * Ports and interfaces: what of a service can be reached, and under which words.
 *
 * Invariant: the list is whole. What is not in it any more is withdrawn, and what is in it twice is refused
 * when the package is built.
 */
import type { Effects } from './effects.js';
import type { AddSsl, BindParams, InterfaceType, ProxyAuth } from './wire-network.js';

/** Words for people about something that can be reached. */
export interface InterfaceOptions {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** A page for people unless it is said otherwise. */
  readonly type?: InterfaceType;
  /** Whether its address is a secret. */
  readonly masked?: boolean;
  readonly username?: string;
  /** Path that its address ends with. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
}

interface Interface extends InterfaceOptions {
  readonly scheme: string | null;
  readonly sslScheme: string | null;
}

/** A port of a service, or several in a row. */
export type Binding =
  | { readonly kind: 'port'; readonly bind: BindParams; readonly interfaces: readonly Interface[] }
  | {
      readonly kind: 'range';
      readonly host: string;
      readonly start: number;
      readonly externalStart: number;
      readonly count: number;
      readonly interface: { readonly id: string; readonly name: string; readonly description: string; readonly scheme: string | null };
    };

interface HttpOptions {
  /** Names the group of ports that share addresses; a service with one page calls it as the page. */
  readonly host: string;
  /** Where the program listens inside the container. */
  readonly port: number;
  readonly interfaces: readonly InterfaceOptions[];
  /** Has the host ask who is calling. */
  readonly auth?: ProxyAuth;
  /** Whether the program speaks TLS itself. */
  readonly tls?: boolean;
  /** Whether it is WebSocket only. */
  readonly websocket?: boolean;
  /** How a program's own certificate is checked, with `tls`. */
  readonly upstreamCertValidation?: AddSsl['upstreamCertValidation'];
}

/**
 * A port that speaks HTTP. The host puts HTTPS before it, at an address of its choice.
 *
 * @example
 * ```ts
 * import { http } from '@coppice/sdk';
 *
 * const page = http({
 *   host: 'ui',
 *   port: 8080,
 *   interfaces: [{ id: 'ui', name: 'Page', description: 'The page with the greeting' }],
 * });
 * ```
 */
export function http({ host, port, interfaces, auth, tls = false, websocket = false, upstreamCertValidation }: HttpOptions): Binding {
  const plain = websocket ? 'ws' : 'http';
  const secure = `${plain}s`;
  return {
    kind: 'port',
    bind: {
      id: host,
      internalPort: port,
      preferredExternalPort: tls ? 443 : 80,
      secure: tls ? { ssl: true } : null,
      addSsl: {
        preferredExternalPort: 443,
        addXForwardedHeaders: true,
        alpn: { specified: ['http/1.1'] },
        auth: auth ?? null,
        ...(upstreamCertValidation === undefined ? {} : { upstreamCertValidation }),
      },
    },
    interfaces: interfaces.map(one => ({ ...one, scheme: tls ? secure : plain, sslScheme: secure })),
  };
}

interface TcpOptions {
  readonly host: string;
  /** Where the program listens inside the container. */
  readonly port: number;
  /** The port to be had outside, if it is free; the same as inside without. */
  readonly external?: number;
  /**
   * Who encrypts: the program with TLS of its own (`tls`), the program in some other way (`itself`), the host
   * with TLS before it (`host`), or nobody (`nobody`), which leaves it reachable from this machine only.
   */
  readonly encrypted: 'tls' | 'itself' | 'host' | 'nobody';
  /** Begins its addresses, such as `ssh`. */
  readonly scheme?: string;
  readonly interfaces: readonly InterfaceOptions[];
}

/**
 * A port that is not HTTP, for TCP and UDP.
 *
 * @example
 * ```ts
 * import { tcp } from '@coppice/sdk';
 *
 * const peers = tcp({
 *   host: 'sync',
 *   port: 22000,
 *   encrypted: 'itself',
 *   scheme: 'tcp',
 *   interfaces: [{ id: 'sync', name: 'Device connections', description: 'For devices', type: 'p2p' }],
 * });
 * ```
 */
export function tcp({ host, port, external = port, encrypted, scheme, interfaces }: TcpOptions): Binding {
  const addSsl: AddSsl = { preferredExternalPort: external, addXForwardedHeaders: false, alpn: null, auth: null };
  const isTls = encrypted === 'tls' || encrypted === 'host';
  return {
    kind: 'port',
    bind: {
      id: host,
      internalPort: port,
      preferredExternalPort: external,
      secure: encrypted === 'tls' ? { ssl: true } : encrypted === 'itself' ? { ssl: false } : null,
      addSsl: encrypted === 'host' ? addSsl : null,
    },
    interfaces: interfaces.map(one => ({ ...one, scheme: isTls ? null : (scheme ?? null), sslScheme: isTls ? (scheme ?? null) : null })),
  };
}

/**
 * Several ports in a row, for TCP and UDP, under the same numbers outside unless said otherwise.
 *
 * @example
 * ```ts
 * import { portRange } from '@coppice/sdk';
 *
 * const relays = portRange({ host: 'turn', start: 49160, count: 40, id: 'relay', name: 'Relays', description: 'For calls' });
 * ```
 */
export function portRange(o: {
  readonly host: string;
  readonly start: number;
  readonly count: number;
  readonly externalStart?: number;
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly scheme?: string;
}): Binding {
  if (!Number.isInteger(o.count) || o.count < 2 || o.count > 500) {
    throw new Error(`port range \`${o.id}\` has ${o.count} ports: a range has 2 to 500`);
  }
  return {
    kind: 'range',
    host: o.host,
    start: o.start,
    externalStart: o.externalStart ?? o.start,
    count: o.count,
    interface: { id: o.id, name: o.name, description: o.description, scheme: o.scheme ?? null },
  };
}

/** @throws when a port or an interface is there twice, or a port is none. */
export function checkBindings(bindings: readonly Binding[]): void {
  const taken = new Set<string>();
  const once = (what: string): void => {
    if (taken.has(what)) throw new Error(`${what} is declared twice`);
    taken.add(what);
  };
  for (const binding of bindings) {
    const port = binding.kind === 'port' ? binding.bind.internalPort : binding.start;
    const host = binding.kind === 'port' ? binding.bind.id : binding.host;
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`host \`${host}\`: ${port} is no port`);
    once(`port ${port} of host \`${host}\``);
    const interfaces = binding.kind === 'port' ? binding.interfaces : [binding.interface];
    for (const { id } of interfaces) once(`interface \`${id}\``);
  }
}

/** Declares these and withdraws all others. */
export async function declareBindings(effects: Effects, bindings: readonly Binding[]): Promise<void> {
  checkBindings(bindings);
  const kept: { id: string; internalPort: number }[] = [];
  const exports: (() => Promise<unknown>)[] = [];
  const interfaces: string[] = [];
  // One after the other: who comes first gets the port that two wish for.
  for (const binding of bindings) {
    if (binding.kind === 'port') {
      const { bind } = binding;
      await effects.bind(bind);
      kept.push({ id: bind.id, internalPort: bind.internalPort });
      for (const one of binding.interfaces) {
        exports.push(() => effects.exportServiceInterface(exported(bind, one)));
        interfaces.push(one.id);
      }
    } else {
      const { host, start, externalStart, count, interface: one } = binding;
      await effects.bindRange({ id: host, internalStartPort: start, externalStartPort: externalStart, numberOfPorts: count });
      exports.push(() => effects.exportRangeServiceInterface({ hostId: host, internalStartPort: start, ...one }));
      kept.push({ id: host, internalPort: start });
      interfaces.push(one.id);
    }
  }
  await Promise.all([
    ...exports.map(declare => declare()),
    effects.clearBindings({ except: kept }),
    effects.clearServiceInterfaces({ except: interfaces }),
  ]);
}

function exported(bind: BindParams, one: Interface): Parameters<Effects['exportServiceInterface']>[0] {
  const query = new URLSearchParams(one.query).toString();
  return {
    id: one.id,
    name: one.name,
    description: one.description,
    masked: one.masked ?? false,
    type: one.type ?? 'ui',
    addressInfo: {
      username: one.username ?? null,
      hostId: bind.id,
      internalPort: bind.internalPort,
      scheme: one.scheme,
      sslScheme: one.sslScheme,
      suffix: `${one.path ?? ''}${query === '' ? '' : `?${query}`}`,
    },
  };
}
