/** Restart records in plain words: what ended, why, what Coppice did, what the owner can do. */
import type { Cause, RestartRecord } from '../api/schema';
import { sentenceEnd, type Tone } from './status';
import { unreachable } from './unreachable';

export interface RestartStory {
  readonly at: string;
  readonly headline: string;
  readonly done: string;
  /** The next step, when there is one worth saying. */
  readonly advice: string | null;
  readonly tone: Tone;
  readonly logs: readonly string[];
}

/** POSIX numbers that matter to a reader; the rest are shown by number. */
const SIGNALS: Record<number, readonly [name: string, meaning: string]> = {
  1: ['SIGHUP', 'was told to hang up'],
  2: ['SIGINT', 'was interrupted'],
  4: ['SIGILL', 'crashed on an instruction this processor does not have'],
  6: ['SIGABRT', 'gave up by itself'],
  7: ['SIGBUS', 'crashed on a memory error'],
  8: ['SIGFPE', 'crashed on an arithmetic error'],
  9: ['SIGKILL', 'was killed'],
  11: ['SIGSEGV', 'crashed on a memory error'],
  13: ['SIGPIPE', 'lost the program it was writing to'],
  15: ['SIGTERM', 'was told to end'],
};

export function restartStory(record: RestartRecord): RestartStory {
  const [does, advice, tone] = causeWords(record.cause);
  return {
    at: record.at,
    headline: `${subject(record.what)} ${does}`,
    done: sentenceEnd(capital(record.action)),
    advice,
    tone,
    logs: record.logs,
  };
}

/** Newest first, whatever order the server keeps. */
export function restartStories(records: Readonly<Record<string, RestartRecord>>): readonly RestartStory[] {
  return Object.values(records).sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).map(restartStory);
}

/** "daemon main" reads better as "The daemon main"; "container" as "The container". */
function subject(what: string): string {
  return what ? `The ${what}` : 'The service';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

type Words = readonly [does: string, advice: string | null, tone: Tone];

function causeWords(cause: Cause): Words {
  switch (cause.kind) {
    case 'exit':
      return exitWords(cause.code);
    case 'signal':
      return signalWords(cause.signal);
    case 'oom':
      return [
        'ran out of memory and was ended by the kernel.',
        'If it happens again, raise its memory limit or stop another service.',
        'bad',
      ];
    case 'container-died':
      return ['went down with its container.', null, 'bad'];
    case 'runtime-died':
      return ['went down with the package code that looks after it.', null, 'bad'];
    case 'operator':
      return [`was restarted by ${cause.by || 'you'}.`, null, 'quiet'];
    case 'start-failed':
      return [
        `could not start: ${sentenceEnd(cause.message)}`,
        'The log usually says why.',
        'bad',
      ];
    case 'stop-failed':
      return [
        `did not stop in good order: ${sentenceEnd(cause.message)}`,
        'What was left of it was ended by force. The log usually says why.',
        'bad',
      ];
    case 'deadline':
      return [`took too long (${cause.waitedFor}).`, 'The log usually says what it was doing.', 'bad'];
    case 'internal':
      return [
        `stopped because of a fault in Coppice: ${sentenceEnd(cause.message)}`,
        'Please report it, with this message.',
        'bad',
      ];
    default:
      return unreachable(cause);
  }
}

function exitWords(code: number): Words {
  if (code === 0) return ['ended by itself, without an error.', null, 'quiet'];
  // Shells report a child's death by signal N as 128 + N.
  if (code > 128 && SIGNALS[code - 128]) return signalWords(code - 128);
  if (code === 127) {
    return ['ended because a program was not found (exit code 127).', 'This is a fault of the package; tell its author.', 'bad'];
  }
  if (code === 126) {
    return ['ended because a program may not be run (exit code 126).', 'This is a fault of the package; tell its author.', 'bad'];
  }
  return [`ended with an error (exit code ${code}).`, 'Its last lines below usually say why.', 'bad'];
}

function signalWords(signal: number): Words {
  const known = SIGNALS[signal];
  if (!known) return [`was ended by signal ${signal}.`, null, 'bad'];
  const [name, meaning] = known;
  const advice = name === 'SIGKILL' ? 'It did not end by its own fault: something outside killed it.' : null;
  return [`${meaning} (${name}).`, advice, 'bad'];
}
