/**
 * What stands in for programs: `start-container`, `mount`, `rsync`, and what runs in subcontainers.
 *
 * A program that is started and not waited for runs until it is ended; one that is waited for must have a
 * script, so that no test waits for something that nobody has thought of.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Exit, Running, SpawnOptions, Spawner } from '../spawner.js';

/** A program as it was started in a subcontainer. */
export interface ProgramCall {
  readonly words: readonly string[];
  readonly user: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string | null;
  /** The subcontainer's root. */
  readonly root: string;
}

/** What a program does: its code, and what it writes. */
export type Script = (call: ProgramCall) => { readonly code?: number; readonly stdout?: string; readonly stderr?: string };

/** A program that runs until it is ended. */
export class Endless implements Running {
  readonly exit: Promise<Exit>;
  #end: (exit: Exit) => void = () => undefined;

  constructor(
    readonly call: ProgramCall,
    private readonly onEnd: () => void = () => undefined,
  ) {
    this.exit = new Promise(resolve => (this.#end = resolve));
  }

  kill(signal: NodeJS.Signals): void {
    this.onEnd();
    this.#end({ code: null, signal });
  }

  /** Ends by itself. */
  end(code: number): void {
    this.onEnd();
    this.#end({ code, signal: null });
  }
}

/** All programs of one test. */
export class Programs {
  /** What was started, word by word. */
  readonly argvs: (readonly string[])[] = [];
  /** What runs in subcontainers now. */
  readonly running: Endless[] = [];
  readonly #scripts = new Map<string, Script>();

  /** Has a program do this when it is waited for. */
  script(program: string, script: Script): void {
    this.#scripts.set(program, script);
  }

  /** The spawner of this. */
  readonly spawn: Spawner = (argv, options) => {
    this.argvs.push(argv);
    const [program, verb, third] = argv;
    if (program === 'rsync') return this.#copy(argv);
    if (program === 'mount') return ended({});
    if (program !== 'start-container') throw new Error(`the test harness has no \`${program}\``);
    if (verb === 'bind-mount') return ended({});
    return third === 'launch' ? this.#launch(argv) : this.#exec(argv, options);
  };

  #launch(argv: readonly string[]): Running {
    const root = argv.at(-1) ?? '';
    mkdirSync(join(root, 'proc/1'), { recursive: true });
    return new Endless({ words: [], user: 'root', workdir: '/', env: {}, input: null, root });
  }

  #exec(argv: readonly string[], options: SpawnOptions): Running {
    const call = callOf(argv, options.input ?? null);
    if (options.output === undefined) {
      const running = new Endless(call, () => {
        const index = this.running.indexOf(running);
        if (index !== -1) this.running.splice(index, 1);
      });
      this.running.push(running);
      return running;
    }
    const name = call.words[0] ?? '';
    const script = this.#scripts.get(name);
    if (script === undefined) throw new Error(`the package waits for \`${name}\`: say what it does, by host.programs.script('${name}', …)`);
    const { code = 0, stdout = '', stderr = '' } = script(call);
    options.output('stdout', stdout);
    options.output('stderr', stderr);
    return ended({ code });
  }

  #copy(argv: readonly string[]): Running {
    const [from = '', to = ''] = argv.slice(-2);
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
    return ended({});
  }
}

function ended({ code = 0 }: { readonly code?: number }): Running {
  return { exit: Promise.resolve({ code, signal: null }), kill: () => undefined };
}

/** What `start-container subcontainer exec …` is to start. */
function callOf(argv: readonly string[], input: string | null): ProgramCall {
  const options = argv.slice(3).filter(word => word.startsWith('--'));
  // The first word that is no option is the root; options of the program come after it.
  const at = argv.findIndex((word, index) => index > 2 && !word.startsWith('--'));
  const value = (name: string): string => options.find(word => word.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
  const env = argv.slice(3, at).filter(word => word.startsWith('--env='));
  return {
    root: argv[at] ?? '',
    words: argv.slice(at + 1),
    user: value('user'),
    workdir: value('workdir'),
    env: Object.fromEntries(env.map(word => [word.slice(6, word.indexOf('=', 6)), word.slice(word.indexOf('=', 6) + 1)])),
    input,
  };
}
