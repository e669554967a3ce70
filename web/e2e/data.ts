/** A small server with three real packages in states worth looking at. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = Record<string, Json>;

const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

const icon = (color: string, path: string) =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" rx="12" fill="${color}"/><g fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round">${path}</g></svg>`,
  )}`;

export function manifest(id: string, title: string, version: string, short: string, long: string): JsonObject {
  return {
    id,
    title,
    version,
    description: { short: { en_US: short }, long: { en_US: long } },
    releaseNotes: { en_US: 'First package for Coppice.' },
    license: 'Apache-2.0',
    packageRepo: `https://example.org/packages/${id}`,
    upstreamRepo: `https://example.org/upstream/${id}`,
    marketingUrl: `https://example.org/${id}`,
    donationUrl: null,
    gitHash: '8d1f0c2b9a',
    osVersion: '0.4.0',
    sdkVersion: '2.0.9',
    images: {},
    volumes: ['main'],
  };
}

function iface(id: string, name: string, type: string, description: string, scheme: string | null, sslScheme: string | null): JsonObject {
  return {
    id,
    name,
    description,
    masked: false,
    type,
    addressInfo: { username: null, hostId: 'main', internalPort: 80, scheme, sslScheme, suffix: '' },
  };
}

function binding(id: string, port: number, ssl: boolean, interfaces: JsonObject): JsonObject {
  const mdns = (hostname: string, at: number, tls: boolean): Json => ({
    ssl: tls,
    public: false,
    hostname,
    port: at,
    metadata: { kind: 'mdns', gateways: ['eth0'] },
  });
  const ip = (hostname: string, gateway: string, at: number, tls: boolean): Json => ({
    ssl: tls,
    public: false,
    hostname,
    port: at,
    metadata: { kind: 'ipv4', gateway },
  });
  const available = ssl
    ? [
        mdns(`${id}-grove.local`, 443, true),
        mdns('grove.local', port, true),
        ip('192.168.1.20', 'eth0', port, true),
        ip('10.0.3.1', 'lxcbr0', port, true),
        ip('127.0.0.1', 'lo', port, true),
      ]
    : [ip('192.168.1.20', 'eth0', port, false), ip('10.0.3.1', 'lxcbr0', port, false)];
  return {
    enabled: true,
    options: { preferredExternalPort: port, addSsl: null, secure: null },
    net: { assignedPort: ssl ? null : port, assignedSslPort: ssl ? port : null },
    addresses: { enabled: [], disabled: [], guaWan: [], available },
    interfaces,
  };
}

const host = (bindings: JsonObject): JsonObject => ({
  bindings,
  bindingRanges: {},
  publicDomains: {},
  privateDomains: {},
  portForwards: [],
});

function action(name: string, description: string, over: JsonObject = {}): JsonObject {
  return {
    name,
    description,
    warning: null,
    visibility: 'enabled',
    allowedStatuses: 'any',
    hasInput: false,
    group: null,
    ...over,
  };
}

function entry(over: JsonObject): JsonObject {
  return {
    registry: null,
    developerKey: '',
    currentDependencies: {},
    actions: {},
    tasks: {},
    hosts: {},
    outboundGateway: null,
    restarts: {},
    parked: null,
    held: null,
    asleep: null,
    ...over,
  };
}

export function document(): JsonObject {
  return {
    serverInfo: {
      id: 'abcdef',
      name: 'Grove',
      hostname: 'grove',
      version: '0.1.0',
      notices: [],
      statusInfo: { shuttingDown: false, restarting: false },
    },
    packageData: { hello: hello(), miniflux: miniflux(), syncthing: syncthing() },
    ui: {},
  };
}

const hello = (): JsonObject =>
  entry({
    icon: icon('#e0702c', '<path d="M14 14v20M34 14v20M14 24h20"/>'),
    stateInfo: {
      state: 'installed',
      manifest: manifest('hello', 'Hello', '1.0.0:0', 'A page that says hello', 'The smallest service there is.\nCopy it to begin your own.'),
    },
    statusInfo: {
      started: ago(3 * 60 + 12),
      error: null,
      desired: { main: 'running' },
      health: { web: { name: 'Web Interface', result: 'success', message: 'The page answers.' } },
    },
    actions: {
      greet: action('Say hello', 'Asks the service for a greeting.', { allowedStatuses: 'only-running' }),
      reset: action('Forget everything', 'Sets the greeting back.', { warning: 'The current greeting is lost.', group: 'Danger' }),
      settings: action('Settings', 'Every kind of field there is.', { hasInput: true }),
    },
    hosts: { main: host({ '80': binding('hello', 49200, true, { ui: iface('ui', 'Web UI', 'ui', 'Says hello.', 'http', 'https') }) }) },
    restarts: {
      '2': {
        seq: 2,
        at: ago(50),
        what: 'daemon main',
        cause: { kind: 'signal', signal: 9 },
        because: [],
        action: 'the package starts it again',
        by: { who: 'package' },
        ranMs: 90_000_000,
        logs: ['10:12:01 listening on 0.0.0.0:80', '10:14:37 GET / 200'],
      },
      '1': {
        seq: 1,
        at: ago(2000),
        what: 'service',
        cause: { kind: 'operator', by: { who: 'account', name: 'admin' }, asked: 'restart' },
        because: [],
        action: 'it is stopped and started',
        by: { who: 'account', name: 'admin' },
        ranMs: null,
        logs: [],
      },
    },
  });

const miniflux = (): JsonObject =>
  entry({
    icon: icon('#2f5fb3', '<path d="M14 34V20M24 34V14M34 34V24"/>'),
    stateInfo: {
      state: 'installed',
      manifest: manifest('miniflux', 'Miniflux', '2.2.13:1', 'A feed reader', 'A minimalist feed reader with a PostgreSQL of its own.'),
    },
    statusInfo: { started: null, error: null, desired: { main: 'stopped' }, health: {} },
    actions: {
      'create-admin': action('Create the admin account', 'Makes the first account of Miniflux.', { hasInput: true }),
    },
    tasks: {
      'miniflux:create-admin': {
        active: true,
        task: {
          packageId: 'miniflux',
          actionId: 'create-admin',
          severity: 'critical',
          reason: 'Miniflux needs an admin account before its first start.',
          input: { kind: 'partial', accept: [], set: { username: 'keeper' } },
        },
      },
    },
    hosts: { main: host({ '8080': binding('miniflux', 49201, true, { ui: iface('ui', 'Web UI', 'ui', 'Read your feeds.', 'http', 'https') }) }) },
  });

const syncthing = (): JsonObject =>
  entry({
    icon: icon('#1d8f8a', '<circle cx="24" cy="24" r="12"/><path d="M24 24l10-6M24 24v12M24 24l-10-6"/>'),
    stateInfo: {
      state: 'installed',
      manifest: manifest('syncthing', 'Syncthing', '1.29.5:0', 'Keeps folders in step', 'Continuous file synchronisation between your devices.'),
    },
    statusInfo: {
      started: ago(4 * 24 * 60 + 130),
      error: null,
      desired: { main: 'running' },
      health: {
        ui: { name: 'Web Interface', result: 'success', message: 'The page answers.' },
        sync: { name: 'Sync', result: 'loading', message: 'Scanning folders, 42 %' },
        relay: { name: 'Relay', result: 'disabled', message: 'Relays are switched off in its settings.' },
      },
    },
    tasks: {
      'syncthing:set-folder': {
        active: true,
        task: { packageId: 'syncthing', actionId: 'set-folder', severity: 'important', reason: 'Pick a folder to share first.' },
      },
    },
    actions: { 'set-folder': action('Share a folder', 'Chooses what is synchronised.') },
    hosts: {
      main: host({
        '8384': binding('syncthing', 49202, true, { ui: iface('ui', 'Web UI', 'ui', 'Folders and devices.', 'http', 'https') }),
        '22000': binding('syncthing', 22000, false, { peer: iface('peer', 'Sync protocol', 'p2p', 'Other devices connect here.', 'tcp', null) }),
      }),
    },
  });

const field = (type: string, name: string, over: JsonObject = {}): JsonObject => ({
  type,
  name,
  description: null,
  warning: null,
  footnote: null,
  disabled: false,
  immutable: false,
  required: false,
  default: null,
  ...over,
});
const text = (name: string, over: JsonObject = {}) =>
  field('text', name, {
    patterns: [],
    minLength: null,
    maxLength: null,
    masked: false,
    inputmode: 'text',
    placeholder: null,
    generate: null,
    ...over,
  });

export const specs: Record<string, { spec: JsonObject; value: JsonObject | null }> = {
  'miniflux:create-admin': {
    value: null,
    spec: {
      username: text('User name', {
        required: true,
        default: 'admin',
        patterns: [{ regex: '^[a-z0-9]+$', description: 'Use only small letters and digits.' }],
      }),
      password: text('Password', {
        required: true,
        masked: true,
        minLength: 12,
        description: 'At least 12 characters.',
        generate: { charset: 'a-z,A-Z,0-9', len: 22 },
      }),
    },
  },
  'hello:settings': {
    value: { greeting: 'Hello', colour: '#26763f', hidden: 7 },
    spec: {
      greeting: text('Greeting', { required: true, description: 'What the page says.' }),
      note: field('textarea', 'Note', { patterns: [], minLength: null, maxLength: 40, minRows: 2, maxRows: 5, placeholder: 'Anything' }),
      port: field('number', 'Port', { required: true, default: 8080, integer: true, min: 1, max: 65535, step: null, units: 'TCP', placeholder: null }),
      colour: field('color', 'Colour'),
      since: field('datetime', 'Since', { inputmode: 'date', min: null, max: null }),
      loud: field('toggle', 'Loud', { default: false, description: 'Adds an exclamation mark.' }),
      size: field('select', 'Size', { default: 'm', values: { s: 'Small', m: 'Medium', l: 'Large' }, disabled: ['l'] }),
      days: field('multiselect', 'Days', { default: ['mo'], minLength: 1, maxLength: 2, values: { mo: 'Monday', tu: 'Tuesday', we: 'Wednesday' } }),
      names: field('list', 'Names', {
        default: ['Ada'],
        minLength: null,
        maxLength: 3,
        spec: { type: 'text', patterns: [], minLength: null, maxLength: null, masked: false, inputmode: 'text', placeholder: 'A name', generate: null },
      }),
      people: field('list', 'People', {
        default: [],
        minLength: null,
        maxLength: null,
        spec: {
          type: 'object',
          uniqueBy: 'mail',
          displayAs: '{{mail}}',
          spec: { mail: text('Mail', { required: true, inputmode: 'email' }) },
        },
      }),
      proxy: field('union', 'Proxy', {
        default: 'none',
        variants: {
          none: { name: 'None', spec: {} },
          socks: { name: 'SOCKS', spec: { host: text('Host', { required: true, placeholder: 'proxy.lan' }) } },
        },
      }),
      limits: { type: 'object', name: 'Limits', description: null, warning: 'Small limits make it slow.', spec: { memory: field('number', 'Memory', { default: 64, integer: true, min: 16, max: null, step: 16, units: 'MiB', placeholder: null }) } },
      hidden: { type: 'hidden' },
    },
  },
};

const line = (minutes: number, message: string, source = 'main', stream = 'out'): JsonObject => ({
  timestamp: ago(minutes),
  message,
  bootId: 'b',
  source,
  stream,
});

export const LOGS: { recent: JsonObject[]; older: JsonObject[] } = {
  recent: [
    line(50, 'listening on 0.0.0.0:80'),
    line(49, 'GET / 200 0.4 ms'),
    line(44, '\u001b[33mwarning\u001b[0m: cache is cold, the first request may be slow'),
    line(31, 'GET /favicon.ico 404'),
    line(12, 'ERROR: upstream closed the connection before the answer was complete', 'main', 'err'),
    line(11, 'retrying in 1 s'),
    line(10, 'GET / 200 0.3 ms'),
  ],
  older: [line(600, 'runtime: init install', 'runtime'), line(599, 'runtime: init done', 'runtime')],
};
