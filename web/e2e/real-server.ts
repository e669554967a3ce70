/**
 * The server of `real.test.ts`: where it is, and its processes.
 *
 * Invariant: only processes of the server named by the environment are ever killed; they are found by its data folder and
 * by its control groups, never by a program's name alone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RealServer {
  /** Where the dashboard is, for example `https://coppice.local:8443`. */
  readonly url: string;
  readonly password: string;
  /** A file with the root certificate. */
  readonly ca: string;
  /** The address all `.local` names lead to. */
  readonly address: string;
  /** A folder with `hello.s9pk`, and perhaps `miniflux.s9pk`. */
  readonly packages: string;
  /** The data folder, when the server runs on this machine and its processes may be killed. */
  readonly data: string | null;
}

/** What is missing, as one sentence, when the environment does not say where a server is. */
export function fromEnvironment(env: NodeJS.ProcessEnv): RealServer | string {
  const names = ['COPPICE_URL', 'COPPICE_PASSWORD', 'COPPICE_CA', 'COPPICE_EXAMPLES'] as const;
  const missing = names.filter(name => !env[name]);
  if (missing.length > 0) return `Not tried against a real server: ${missing.join(', ')} not set.`;
  const [url = '', password = '', ca = '', packages = ''] = names.map(name => env[name]);
  return { url, password, ca, packages, address: env['COPPICE_ADDRESS'] ?? '127.0.0.1', data: env['COPPICE_DATA_DIR'] ?? null };
}

/** The number of the core's process; null while there is none. */
export function coreOf(data: string): number | null {
  return processes().find(pid => {
    const [, verb, ...flags] = words(pid);
    return verb === 'core' && flags[flags.indexOf('--data-dir') + 1] === data;
  }) ?? null;
}

/** The numbers of the processes of a service that run `program`. */
export function daemonsOf(data: string, service: string, program: string): number[] {
  const group = `/coppice-${readFileSync(join(data, 'id'), 'utf8').trim()}/${service}/`;
  return processes().filter(pid => words(pid)[0] === program && read(pid, 'cgroup').includes(group));
}

function processes(): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number);
}

function words(pid: number): string[] {
  return read(pid, 'cmdline').split('\0');
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It ended meanwhile, which for whoever looks is the same as never having been there.
    return '';
  }
}
