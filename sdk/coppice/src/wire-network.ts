/** Hosts, bindings and addresses as the host tells them: `service-abi`, "Hosts, bindings, interfaces". */

/** What an interface is for: a page for people, other devices, or programs. */
export type InterfaceType = 'ui' | 'p2p' | 'api';

/** How the host guards an HTTP interface itself. */
export type ProxyAuth =
  | { readonly type: 'bearer'; readonly tokens: readonly string[]; readonly realm: string | null }
  | {
      readonly type: 'basic';
      readonly credentials: readonly { readonly username: string; readonly password: string }[];
      readonly realm: string | null;
    };

/** TLS that the host puts before a port. */
export interface AddSsl {
  readonly preferredExternalPort: number;
  readonly addXForwardedHeaders: boolean;
  readonly alpn: 'reflect' | { readonly specified: readonly (string | readonly number[])[] } | null;
  readonly upstreamCertValidation?: 'disable' | { readonly certificate: string };
  readonly auth: ProxyAuth | null;
}

/** One port that shall be reachable. */
export interface BindParams {
  readonly id: string;
  readonly internalPort: number;
  readonly preferredExternalPort: number;
  readonly addSsl: AddSsl | null;
  readonly secure: { readonly ssl: boolean } | null;
}

/** Ports that a binding was given. */
export interface PortForward {
  readonly assignedPort: number | null;
  readonly assignedSslPort: number | null;
}

/** Where an interface is, without the name or number of the machine. */
export interface AddressInfo {
  readonly username: string | null;
  readonly hostId: string;
  readonly internalPort: number;
  readonly scheme: string | null;
  readonly sslScheme: string | null;
  readonly suffix: string;
}

/** An exported interface. */
export interface ServiceInterface {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly masked: boolean;
  readonly addressInfo: AddressInfo;
  readonly type: InterfaceType;
}

/** What kind of name an address has. */
export type HostnameMetadata =
  | { readonly kind: 'ipv4'; readonly gateway: string }
  | { readonly kind: 'ipv6'; readonly gateway: string; readonly scopeId: number }
  | { readonly kind: 'mdns'; readonly gateways: readonly string[] }
  | { readonly kind: 'private-domain'; readonly gateways: readonly string[] }
  | { readonly kind: 'public-domain'; readonly gateway: string }
  | { readonly kind: 'plugin'; readonly packageId: string };

/** One name or number under which a binding can be reached. */
export interface HostnameInfo {
  readonly ssl: boolean;
  readonly public: boolean;
  readonly hostname: string;
  readonly port: number | null;
  readonly metadata: HostnameMetadata;
}

/** One bound port of a host. */
export interface BindInfo {
  readonly enabled: boolean;
  readonly net: PortForward;
  readonly addresses: {
    readonly enabled: readonly string[];
    readonly disabled: readonly (readonly [string, number])[];
    readonly guaWan?: readonly string[];
    readonly available: readonly HostnameInfo[];
  };
  readonly interfaces: Readonly<Record<string, ServiceInterface>>;
}

/** A host: ports that share names. */
export interface Host {
  readonly bindings: Readonly<Record<string, BindInfo>>;
}

/** An address that a plugin adds to another package's port. */
export interface PluginUrl {
  readonly packageId: string;
  readonly hostId: string;
  readonly internalPort: number;
  readonly ssl: boolean;
  readonly public: boolean;
  readonly hostname: string;
  readonly port: number | null;
  readonly info: unknown;
}
