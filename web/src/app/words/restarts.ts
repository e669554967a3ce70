/** Restart records in plain words: what ended, why, what Coppice did, what the owner can do. */
import type { By, Cause, Link, RestartRecord } from '../api/schema';
import { capital, sentenceEnd, type Tone } from './status';
import { unreachable } from './unreachable';

export interface RestartStory {
  readonly at: string;
  readonly headline: string;
  readonly done: string;
  /** What is behind it, from end to end, when there is more than the cause. */
  readonly because: string | null;
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
    because: record.because.length > 0 ? `Because ${sentenceEnd(chainWords(record.because))}` : null,
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

/** "its dependency db is parked because its init failed: no such table" */
export function chainWords(links: readonly Link[]): string {
  const steps: string[] = [];
  let before: string | null = null;
  for (const link of links) {
    steps.push(linkWords(link, before));
    if (link.is !== 'disk-full') before = link.service;
  }
  return steps.join(' because ');
}

/** One step; `before` is the service of the step before. */
function linkWords(link: Link, before: string | null): string {
  if (link.is === 'disk-full') return `the disk is full (${Math.floor(link.free / 2 ** 20)} MiB left)`;
  const name = link.service === before ? 'it' : link.service;
  const said = (text: string | null) => (text ? `: ${text}` : '');
  switch (link.is) {
    case 'failed': {
      const whose = name === 'it' ? 'its' : `${name}'s`;
      const { cause, what } = link;
      if (what === 'init' && cause.kind === 'start-failed') return `${whose} init failed: ${cause.message}`;
      return `${whose} ${what} ${causeWords(cause)[0].replace(/\.$/, '')}`;
    }
    case 'parked':
      return `${name} is parked`;
    case 'held':
      return `${name} is held`;
    case 'stopped':
      return `${name} is stopped`;
    case 'starting':
      return `${name} is not up yet`;
    case 'unwell':
      return `${name} fails its check ${link.check}${said(link.message)}`;
    case 'missing':
      return `${name} is not installed`;
    case 'needs-task':
      return `${name} waits for somebody to run ${link.action}${said(link.reason)}`;
    default:
      return unreachable(link);
  }
}

const ASKED = { start: 'started', stop: 'stopped', restart: 'restarted' } as const;

function whoWords(by: By): string {
  switch (by.who) {
    case 'coppice':
      return 'Coppice';
    case 'package':
      return 'its package';
    case 'account':
      return by.name;
    default:
      return unreachable(by);
  }
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
      return [`was ${ASKED[cause.asked]} by ${whoWords(cause.by)}.`, null, 'quiet'];
    case 'failed-check':
      return [
        `failed its check ${sentenceEnd(cause.message ? `${cause.check}: ${cause.message}` : cause.check)}`,
        'Its package asks for a restart then. The log usually says why the check failed.',
        'bad',
      ];
    case 'configuration-missing':
      return [
        `needs its owner: ${sentenceEnd(cause.reason ?? `the action ${cause.action} of ${cause.package} has to be run`)}`,
        'Run the required task, then start it.',
        'care',
      ];
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
    case 'update-failed':
      return [
        `did not go to ${cause.to}: ${sentenceEnd(cause.message)}`,
        'Nothing of it was kept. Its maker may know more.',
        'bad',
      ];
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
