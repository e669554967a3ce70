/** Log lines: what is kept, what a filter shows, what a download contains. */
import type { LogEntry } from '../api/schema';

export interface LogLine {
  readonly key: number;
  readonly entry: LogEntry;
}

/** More than this is not kept in the page; older lines can be fetched again. */
export const KEEP = 5_000;
/** More than this is not drawn at once. */
export const DRAW = 1_000;

/** Without the colour codes many programs write for terminals. */
export function plain(message: string): string {
  return message.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replace(/\r?\n$/, '');
}

/** Lines that contain every word of the search, in any order, whatever the case. */
export function matching(lines: readonly LogLine[], search: string): readonly LogLine[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return lines;
  return lines.filter(({ entry }) => {
    const text = `${entry.timestamp} ${entry.source ?? ''} ${plain(entry.message)}`.toLowerCase();
    return words.every(word => text.includes(word));
  });
}

/** How a line looks at a glance; nothing else is read from its text. */
export function lineTone({ message: raw, stream }: LogEntry): 'bad' | 'care' | null {
  const message = plain(raw);
  if (/\b(fatal|panic(ked)?|error|crit(ical)?|emerg)\b/i.test(message)) return 'bad';
  if (/\b(warn(ing)?)\b/i.test(message)) return 'care';
  return stream === 'err' && /\bexception\b/i.test(message) ? 'bad' : null;
}

/** The text of a download: one line each, the whole timestamp first. */
export function asText(entries: readonly LogEntry[]): string {
  return entries
    .map(e => [e.timestamp, e.source, plain(e.message)].filter(part => part != null && part !== '').join(' '))
    .join('\n')
    .concat('\n');
}
