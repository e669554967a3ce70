/**
 * A server that speaks the UI's side of the contract, in the test's own process.
 *
 * Invariant: nothing happens by itself. The document changes when a method says so or when the
 * test does, so a test never waits for a while, only for a state.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer, type WebSocket } from 'ws';
import { document, LOGS, specs, type Json, type JsonObject } from './data.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** What stands in the page where each answer of the edge puts a nonce of its own. */
const NONCE = 'COPPICE_CSP_NONCE';

/** The policy the edge serves the UI with (`net/src/edge/dashboard.rs`). */
const policy = (nonce: string) =>
  `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; style-src-attr 'unsafe-inline'; ` +
  `img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'self'; ` +
  `form-action 'self'; frame-ancestors 'none'`;

class Refusal extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

interface Operation {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: Json;
}

type Opened = (socket: WebSocket) => void;

export class ContractServer {
  readonly password = 'correct horse';
  readonly calls: { method: string; params: JsonObject }[] = [];
  /** What `state` answers; "initializing" holds the UI on its waiting page. */
  phase: 'running' | 'initializing' = 'running';
  /** Refuses the next call of a method with this message. */
  readonly refuse = new Map<string, string>();
  readonly uploads: Buffer[] = [];
  /** The code that the login wants beside the password; null while two-step login is off. */
  code: string | null = null;
  readonly others = new Set(['other']);
  readonly tokens: JsonObject[] = [];
  doc = document();

  private readonly http: Server;
  private readonly sockets = new WebSocketServer({ noServer: true });
  private readonly tickets = new Map<string, Opened>();
  private readonly sessions = new Set<string>();
  /** Whoever follows, from the moment it asked: what happens before its socket is open is kept for it, as the real server does. */
  private readonly subscribers = new Set<{ deliver: (frame: string) => void }>();
  private readonly logFollowers = new Set<WebSocket>();
  private progress: WebSocket | null = null;
  private revision = 100;
  private away = false;

  constructor(private readonly root: string) {
    this.http = createServer((request, response) => void this.answer(request, response));
    this.http.on('upgrade', (request, socket, head) => {
      const guid = /^\/ws\/rpc\/([A-Z2-7]{32})$/.exec(request.url ?? '')?.[1] ?? '';
      const opened = this.tickets.get(guid);
      if (!opened || this.away) return socket.destroy();
      this.tickets.delete(guid);
      return this.sockets.handleUpgrade(request, socket, head, opened);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.http.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const client of this.sockets.clients) client.terminate();
    this.http.closeAllConnections();
    await new Promise(resolve => this.http.close(resolve));
  }

  private subscribe(): string {
    const missed: string[] = [];
    const subscriber = { deliver: (frame: string): void => void missed.push(frame) };
    this.subscribers.add(subscriber);
    return this.ticket(socket => {
      for (const frame of missed) socket.send(frame);
      subscriber.deliver = frame => socket.send(frame);
      socket.on('close', () => this.subscribers.delete(subscriber));
    });
  }

  /** Commits a patch under `/public` and sends it to whoever follows. */
  commit(...patch: Operation[]): number {
    for (const op of patch) apply(this.doc, op);
    this.revision += 1;
    const frame = JSON.stringify({ id: this.revision, patch });
    for (const subscriber of this.subscribers) subscriber.deliver(frame);
    return this.revision;
  }

  package(id: string): JsonObject {
    return child(child(this.doc, 'packageData'), id);
  }

  /** Brings a service from "starting" to "up and healthy". */
  up(id: string, health: JsonObject = { web: { name: 'Web Interface', result: 'success', message: 'It answers.' } }): void {
    this.status(id, { started: new Date().toISOString(), health });
  }

  status(id: string, fields: JsonObject): void {
    this.commit(
      ...Object.entries(fields).map(([key, value]): Operation => ({ op: 'replace', path: `/packageData/${id}/statusInfo/${key}`, value })),
    );
  }

  /** Drops every connection and answers nothing until `comeBack`. */
  goAway(): void {
    this.away = true;
    for (const client of this.sockets.clients) client.terminate();
    this.subscribers.clear();
  }

  comeBack(): void {
    this.away = false;
  }

  endSessions(): void {
    this.sessions.clear();
    for (const client of this.sockets.clients) client.close(1000, 'exit');
  }

  /** A frame of the test's own making, for frames no good server sends. */
  sendRaw(frame: JsonObject): void {
    for (const subscriber of this.subscribers) subscriber.deliver(JSON.stringify(frame));
  }

  log(message: string, over: JsonObject = {}): void {
    const line = JSON.stringify({ timestamp: new Date().toISOString(), message, bootId: 'b', source: 'main', ...over });
    for (const socket of this.logFollowers) socket.send(line);
  }

  /** Sends a frame to whoever follows the sideload. */
  report(frame: JsonObject): void {
    this.progress?.send(JSON.stringify(frame));
  }

  endSideload(code: number, reason: string): void {
    this.progress?.close(code, reason);
  }

  private ticket(opened: Opened): string {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
    const guid = [...randomBytes(32)].map(b => alphabet[b % 32]).join('');
    this.tickets.set(guid, opened);
    return guid;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    if (url === '/rpc/v1') return this.rpc(request, response);
    if (url.startsWith('/rest/rpc/')) return this.upload(url, request, response);
    return this.file(url, response);
  }

  private async file(url: string, response: ServerResponse): Promise<void> {
    const path = normalize(new URL(url, 'http://x').pathname);
    const file = extname(path) === '' ? '/index.html' : path;
    try {
      const body = await readFile(join(this.root, file));
      const nonce = randomBytes(16).toString('base64');
      response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': policy(nonce) });
      response.end(file === '/index.html' ? body.toString().replaceAll(NONCE, nonce) : body);
    } catch {
      response.writeHead(404).end();
    }
  }

  private async upload(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const opened = this.tickets.get(url.slice('/rest/rpc/'.length));
    const body = await read(request);
    if (!opened) return void response.writeHead(404).end();
    this.uploads.push(body);
    response.writeHead(204).end();
  }

  private async rpc(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.away) return void response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>');
    const { id, method, params } = JSON.parse((await read(request)).toString()) as { id: Json; method: string; params: JsonObject };
    this.calls.push({ method, params });
    const before = this.revision;
    const headers: Record<string, string> = { 'Content-Type': 'application/json' };
    let body: JsonObject;
    try {
      const session = /session=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
      if (!['state', 'echo', 'auth.login'].includes(method) && !this.sessions.has(session)) throw new Refusal(34, 'Not logged in.');
      const refused = this.refuse.get(method);
      if (refused !== undefined) {
        this.refuse.delete(method);
        throw new Refusal(36, refused);
      }
      if (method === 'auth.login') headers['Set-Cookie'] = `session=${this.login(params)}; Path=/; SameSite=Strict; HttpOnly`;
      if (method === 'auth.logout') this.sessions.delete(session);
      body = { jsonrpc: '2.0', id, result: this.result(method, params) };
      if (this.revision !== before) headers['X-Patch-Sequence'] = String(this.revision);
    } catch (error) {
      const code = error instanceof Refusal ? error.code : -32603;
      const details = error instanceof Error ? error.message : String(error);
      body = { jsonrpc: '2.0', id, error: { code, message: 'Refused', data: { details, debug: '', info: null } } };
    }
    response.writeHead(200, headers).end(JSON.stringify(body));
  }

  private login({ password, code }: JsonObject): string {
    if (password !== this.password) throw new Refusal(7, 'Incorrect password');
    if (this.code !== null && code === null) throw new Refusal(1001, 'A code is needed');
    if (this.code !== null && code !== this.code) throw new Refusal(1002, 'Wrong code');
    const session = randomBytes(16).toString('hex');
    this.sessions.add(session);
    return session;
  }

  private result(method: string, params: JsonObject): Json {
    const id = String(params['id'] ?? params['packageId'] ?? '');
    switch (method) {
      case 'state':
        return this.phase;
      case 'auth.login':
      case 'auth.logout':
        return null;
      case 'auth.session.list': {
        const session = (userAgent: string) => ({ account: 'admin', role: 'admin', loggedIn: past(3), lastActive: past(0), userAgent });
        const others = [...this.others].map(other => [other, session('Mozilla/5.0 (iPhone) Version/18.5 Safari/604.1')] as const);
        return { current: 'own', sessions: { own: session('Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0'), ...Object.fromEntries(others) } };
      }
      case 'auth.session.kill':
        for (const one of strings(params['ids'])) this.others.delete(one);
        return null;
      case 'auth.token.list':
        return this.tokens;
      case 'auth.key.list':
        return [];
      case 'auth.token.create': {
        const made = { id: `t${this.tokens.length}`, account: 'admin', role: 'admin', created: past(0), expires: past(-90), lastUsed: null };
        this.tokens.push({ ...made, name: params['name'] ?? '', scope: params['scope'] ?? '' });
        return { token: 'coppice_abcdef', id: made.id, expires: made.expires };
      }
      case 'auth.token.revoke':
        for (const id of strings(params['ids'])) this.tokens.splice(this.tokens.findIndex(one => one['id'] === id), 1);
        return null;
      case 'auth.totp.status':
        return { enabled: this.code !== null, recoveryCodesLeft: this.code === null ? 0 : 10 };
      case 'auth.totp.enrol':
        if (params['password'] !== this.password) throw new Refusal(7, 'Incorrect password');
        return { secret: 'GEZDGNBVGY3TQOJQ', uri: 'otpauth://totp/Coppice%20willow.local:admin?secret=GEZDGNBVGY3TQOJQ&issuer=Coppice%20willow.local' };
      case 'auth.totp.confirm':
        if (params['code'] !== '123456') throw new Refusal(1002, 'Wrong code');
        this.code = '654321';
        return { recoveryCodes: Array.from({ length: 10 }, (_, n) => `ABCD-EFGH-JKLM-NPQ${n}`) };
      case 'auth.totp.disable':
        if (params['password'] !== this.password) throw new Refusal(7, 'Incorrect password');
        this.code = null;
        return null;
      case 'db.subscribe':
        return { dump: { id: this.revision, value: this.doc }, guid: this.subscribe() };
      case 'package.start':
        this.status(id, { desired: { main: 'running' } });
        return null;
      case 'package.stop':
        this.status(id, { desired: { main: 'stopped' } });
        return null;
      case 'package.restart':
        this.status(id, { desired: { main: 'restarting', restartAgain: false } });
        return null;
      case 'package.uninstall':
        this.commit({ op: 'remove', path: `/packageData/${id}` });
        return null;
      case 'package.action.get-input':
        return this.form(id, String(params['actionId']));
      case 'package.action.run':
        return this.run(id, params);
      case 'package.action.clear-task':
        this.commit({ op: 'remove', path: `/packageData/${id}/tasks/${escape(String(params['replayId']))}` });
        return null;
      case 'package.logs':
        return params['cursor'] === 'c1'
          ? { entries: LOGS.older, startCursor: 'c0', endCursor: 'c1' }
          : { entries: [], startCursor: null, endCursor: null };
      case 'package.logs.follow':
        return {
          startCursor: 'c1',
          guid: this.ticket(socket => {
            for (const entry of LOGS.recent) socket.send(JSON.stringify(entry));
            this.logFollowers.add(socket);
            socket.on('close', () => this.logFollowers.delete(socket));
          }),
        };
      case 'package.sideload':
        return {
          upload: this.ticket(() => undefined),
          progress: this.ticket(socket => {
            this.progress = socket;
          }),
        };
      default:
        throw new Refusal(-32601, `There is no method ${method}.`);
    }
  }

  private readonly forms = new Set<string>();

  private form(id: string, actionId: string): Json {
    const spec = specs[`${id}:${actionId}`];
    if (!spec) return null;
    const eventId = randomBytes(8).toString('hex');
    this.forms.add(eventId);
    return { eventId, spec: spec.spec, value: spec.value };
  }

  private run(id: string, { actionId, eventId, input }: JsonObject): Json {
    if (specs[`${id}:${String(actionId)}`] && !this.forms.has(String(eventId))) {
      throw new Refusal(36, `getActionInput has not been called for EventID ${String(eventId)}`);
    }
    for (const [replayId, entry] of Object.entries(child(this.package(id), 'tasks'))) {
      if (child(entry, 'task')['actionId'] === actionId) this.commit({ op: 'remove', path: `/packageData/${id}/tasks/${escape(replayId)}` });
    }
    if (actionId === 'create-admin') {
      return {
        version: '1',
        title: 'Your admin account',
        message: 'Write these down before you close this window.',
        result: {
          type: 'group',
          value: [
            { name: 'User name', description: null, type: 'single', value: String(child(input, '')['username'] ?? 'admin'), copyable: true, qr: false, masked: false },
            { name: 'Password', description: 'Kept by Miniflux only as a hash.', type: 'single', value: String(child(input, '')['password'] ?? ''), copyable: true, qr: true, masked: true },
          ],
        },
      };
    }
    if (actionId === 'greet') return { version: '0', message: 'The service says hello.', value: 'Hello!', copyable: true, qr: true };
    return null;
  }
}

function child(value: Json | undefined, key: string): JsonObject {
  const found = key === '' ? value : value && typeof value === 'object' && !Array.isArray(value) ? value[key] : undefined;
  if (!found || typeof found !== 'object' || Array.isArray(found)) throw new Error(`no object at ${key}`);
  return found;
}

const strings = (value: Json | undefined) => (Array.isArray(value) ? value.map(String) : []);

/** So many days ago. */
const past = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

const escape = (segment: string) => segment.replaceAll('~', '~0').replaceAll('/', '~1');

function apply(doc: JsonObject, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1).map(k => k.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  const parent = keys.reduce((at, key) => child(at, key), doc);
  if (op === 'remove') delete parent[last];
  else parent[last] = value ?? null;
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
