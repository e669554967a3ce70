/** Checks: whether a service answers. */
import { readFile } from 'node:fs/promises';
import type { Effects, HealthResult, HostedReady } from '../effects.js';
import type { Command } from '../image.js';
import type { ExecOptions, Subcontainer } from './subcontainer.js';

/** What a check found. */
export interface CheckResult {
  readonly result: HealthResult;
  readonly message: string | null;
}

/** What a check may look at. */
export interface CheckContext {
  readonly effects: Effects;
  /** The daemon's subcontainer, while the package runs it itself; null where Coppice does. */
  readonly box: Subcontainer | null;
}

/** Looks once. What it throws counts as a failure. */
export type Check = (context: CheckContext) => Promise<CheckResult>;

/** A check of a port, which Coppice can look at by itself. */
export type PortCheck = Check & { readonly onPort: Pick<HostedReady, 'port' | 'protocol' | 'well' | 'unwell'> };

/** What people read. */
export interface CheckWords {
  /** When it is well. */
  readonly well?: string;
  /** When it is not. */
  readonly unwell?: string;
}

/** How long one look may take. */
const LOOK_MS = 5_000;

function said(isWell: boolean, { well, unwell }: CheckWords, usual: string): CheckResult {
  return isWell ? { result: 'success', message: well ?? null } : { result: 'failure', message: unwell ?? usual };
}

/** State `0A` of a line in `/proc/net/tcp`; UDP has sockets that are bound, 07. */
const LISTENING: Readonly<Record<string, string>> = { tcp: '0A', tcp6: '0A', udp: '07', udp6: '07' };

async function isListening(port: number, protocols: readonly string[]): Promise<boolean> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  for (const protocol of protocols) {
    const table = await readFile(`/proc/net/${protocol}`, 'latin1').catch(() => '');
    for (const line of table.split('\n')) {
      const [, local, , state] = line.trim().split(/\s+/);
      if (local?.endsWith(`:${wanted}`) === true && state === LISTENING[protocol]) return true;
    }
  }
  return false;
}

/**
 * Well while something listens on the port.
 *
 * @example
 * ```ts
 * import { portListening } from '@coppice/sdk';
 *
 * const ready = { name: 'Page', check: portListening(8080, { well: 'The page is ready', unwell: 'The page is not ready' }) };
 * ```
 */
export function portListening(port: number, words: CheckWords & { readonly protocol?: 'tcp' | 'udp' } = {}): PortCheck {
  const protocol = words.protocol ?? 'tcp';
  const unwell = words.unwell ?? `nothing listens on port ${port}`;
  const check: Check = async () => said(await isListening(port, [protocol, `${protocol}6`]), words, unwell);
  return Object.assign(check, { onPort: { port, protocol, well: words.well ?? null, unwell } });
}

/**
 * Well while a page answers with a status below 400, or with one of `also`: a page behind a login answers with 401.
 *
 * @example
 * ```ts
 * import { httpAnswers } from '@coppice/sdk';
 *
 * const ready = { name: 'API', check: httpAnswers('http://127.0.0.1:8080/healthz') };
 * ```
 */
export function httpAnswers(url: string, { also = [], ...words }: CheckWords & { readonly also?: readonly number[] } = {}): Check {
  // Not `fetch`, whose first use costs a runtime some 10 MB; and loaded by the first look, not by every package.
  const look = async (): Promise<number> => {
    const { request } = await import('node:http');
    return new Promise((resolve, reject) => {
      const asked = request(url, { timeout: LOOK_MS, agent: false }, answer => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
      asked.on('error', reject);
      asked.end();
    });
  };
  return async () => {
    const status = await look().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    const isWell = typeof status === 'number' && (status < 400 || also.includes(status));
    return said(isWell, words, `${url}: ${typeof status === 'number' ? `it answers with ${status}` : status}`);
  };
}

/**
 * Well while a program in the daemon's subcontainer ends with 0. A daemon with such a check is run by the
 * package: where Coppice runs it, there is no subcontainer to look into.
 *
 * @example
 * ```ts
 * import { commandSucceeds, daemon } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const database = daemon({
 *   in: hello.subcontainer({ image: 'hello' }),
 *   command: ['postgres'],
 *   ready: { name: 'Database', check: commandSucceeds(['pg_isready', '-q']) },
 * });
 * ```
 */
export function commandSucceeds(command: Command, words: CheckWords & ExecOptions = {}): Check & { readonly needsBox: true } {
  const check: Check = async ({ box }) => {
    if (box === null) throw new Error('there is no subcontainer to look into');
    const { exit, stderr } = await box.exec(command, { ...words, timeoutMs: LOOK_MS });
    return said(exit.code === 0, words, stderr.trim().slice(0, 200) || 'not ready');
  };
  return Object.assign(check, { needsBox: true as const });
}

/** What it looks at, if that is a port and nothing else. */
export function portOf(check: Check): PortCheck['onPort'] | null {
  return 'onPort' in check ? (check as PortCheck).onPort : null;
}

/** Whether it looks into the daemon's subcontainer. */
export function needsBox(check: Check): boolean {
  return 'needsBox' in check && check.needsBox === true;
}
