import { once } from 'node:events';
import { createServer as http, type RequestListener } from 'node:http';
import { createServer as https } from 'node:https';
import { createServer as tcp, type Server } from 'node:net';
import type { T } from '@start9labs/start-sdk';
import { ports } from './ports';
import { sdk } from './sdk';

/** What every page says: which way one came, and what was told of oneself. */
const answers =
  (way: string): RequestListener =>
  (request, answer) => {
    const { 'x-forwarded-proto': proto = null, 'x-forwarded-for': from = null } = request.headers;
    answer.end(JSON.stringify({ way, path: request.url, proto, from: from !== null }));
  };

/** Everything listens until `abort`. */
export async function shine(effects: T.Effects, abort: AbortSignal): Promise<void> {
  const names = [`${sdk.manifest.id}.startos`, '127.0.0.1', await sdk.getContainerIp(effects).once()].filter(name => name !== null);
  // Certificate and key are read in one breath: they belong together.
  const cert = (await sdk.getSslCertificate(effects, names).once()).join('\n');
  const key = await sdk.getSslKey(effects, { hostnames: names });
  const servers: [Server, number][] = [
    [http(answers('ui')), ports.ui],
    [https({ cert, key }, answers('api')), ports.api],
    [http(answers('gate')), ports.gate],
    [http(answers('metrics')), ports.metrics],
    [tcp(socket => socket.on('error', () => socket.destroy()).end('beam\n')), ports.peers],
    [tcp(socket => socket.on('error', () => socket.destroy()).end('relay\n')), ports.relay + 3],
  ];
  for (const [server, port] of servers) await once(server.listen(port, '0.0.0.0'), 'listening');
  if (!abort.aborted) await once(abort, 'abort');
  for (const [server] of servers) server.close();
}
