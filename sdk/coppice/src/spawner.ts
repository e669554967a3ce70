/** Programs that a package starts in its container. One place, so that the test harness can stand in. */
import type { Readable } from 'node:stream';

/** How a program ended. */
export type Exit = { readonly code: number; readonly signal: null } | { readonly code: null; readonly signal: NodeJS.Signals };

/** A program that runs. */
export interface Running {
  readonly exit: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

/** How a program is started. */
export interface SpawnOptions {
  /** Goes to its standard input. */
  readonly input?: string;
  /** Gets what it writes; without, that goes where this process's output goes. */
  readonly output?: (stream: 'stdout' | 'stderr', text: string) => void;
}

/** Starts programs. */
export type Spawner = (argv: readonly [string, ...string[]], options: SpawnOptions) => Running;

const real: Spawner = ([program, ...args], { input, output }) => {
  // Loaded by the first program: a package whose daemons Coppice runs starts none.
  const { spawn } = process.getBuiltinModule('node:child_process');
  const piped = output === undefined ? 'inherit' : 'pipe';
  const child = spawn(program, args, { stdio: [input === undefined ? 'ignore' : 'pipe', piped, piped] });
  const forward = (stream: 'stdout' | 'stderr', from: Readable | null): void => {
    from?.setEncoding('utf8');
    from?.on('data', (text: string) => output?.(stream, text));
  };
  forward('stdout', child.stdout);
  forward('stderr', child.stderr);
  // A program that does not read its input is no failure of ours.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const exit = new Promise<Exit>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? { code: code ?? 0, signal } : { code: null, signal }));
  });
  // Whoever waits for the end is told; nobody may be waiting.
  exit.catch(() => undefined);
  return { exit, kill: signal => void child.kill(signal) };
};

let spawner: Spawner = real;

/** Starts a program. */
export const start: Spawner = (argv, options) => spawner(argv, options);

/** Has another start programs; null brings the real one back. For the test harness. */
export function replaceSpawner(other: Spawner | null): void {
  spawner = other ?? real;
}

/** What a program that has ended has written. */
export interface Output {
  readonly exit: Exit;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program failed. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly #output: Output;

  constructor(what: string, output: Output) {
    const { exit, stderr, stdout } = output;
    const how = exit.signal === null ? `ended with ${exit.code}` : `was ended by ${exit.signal}`;
    super(`${what} ${how}: ${(stderr.trim() || stdout.trim() || 'it wrote nothing').slice(-1000)}`);
    this.#output = output;
  }

  /** Its end and all it wrote; not printed with the error, since programs write secrets. */
  get output(): Output {
    return this.#output;
  }
}

/** How a command is run to its end. */
export interface RunOptions {
  readonly input?: string;
  /** Milliseconds after which it is killed; 30 s without, none with null. */
  readonly timeoutMs?: number | null;
}

/** The end of a program and what it wrote. */
export async function runToEnd(argv: readonly [string, ...string[]], { input, timeoutMs = 30_000 }: RunOptions): Promise<Output> {
  const written = { stdout: '', stderr: '' };
  const running = start(argv, {
    ...(input === undefined ? {} : { input }),
    output: (stream, text) => {
      written[stream] += text;
    },
  });
  const timer = timeoutMs === null ? null : setTimeout(() => running.kill('SIGKILL'), timeoutMs);
  try {
    return { exit: await running.exit, ...written };
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
