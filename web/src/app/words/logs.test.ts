import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../api/schema';
import { asText, lineTone, matching, plain } from './logs';

const entry = (message: string, over: Partial<LogEntry> = {}): LogEntry => ({
  timestamp: '2026-03-01T10:00:00Z',
  message,
  bootId: null,
  ...over,
});

describe('log lines', () => {
  it('lose their terminal colours', () => expect(plain('\u001b[1;31mred\u001b[0m\n')).toBe('red'));
  it('are found by all words, in any order and case, source included', () => {
    const lines = [entry('Listening on 8080'), entry('listen failed', { source: 'main' })].map((e, key) => ({ key, entry: e }));
    const found = (search: string) => matching(lines, search).map(l => l.key);
    expect([found(''), found('8080 LISTEN'), found('main'), found('nothing')]).toEqual([[0, 1], [0], [1], []]);
  });
  it('stand out when they report trouble', () => {
    expect(['ERROR: no', '\u001b[33mwarning\u001b[0m: low', 'all errors fixed', 'terror'].map(m => lineTone(entry(m)))).toEqual([
      'bad',
      'care',
      null,
      null,
    ]);
  });
  it('are downloaded with their time and source', () => {
    expect(asText([entry('a', { source: 'main' }), entry('b')])).toBe(
      '2026-03-01T10:00:00Z main a\n2026-03-01T10:00:00Z b\n',
    );
  });
});
