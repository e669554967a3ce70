import { describe, expect, it } from 'vitest';
import { browserName, endsIn, scopeWords } from './access';

describe('the name of a browser', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
    ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0', 'Edge on Windows'],
    ['Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36', 'Chrome on Android'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1', 'Safari on an iPhone'],
    ['curl/8.14', 'curl/8.14'],
    [null, 'A program without a name'],
  ])('of %s is %s', (agent, name) => expect(browserName(agent)).toBe(name));
  it('is cut when it is long', () => expect(browserName('x'.repeat(200))).toHaveLength(61));
});

describe('a token', () => {
  const now = Date.parse('2026-03-05T12:00:00Z');
  it('says how long it has', () => {
    expect(endsIn('2026-03-08T16:00:00Z', now)).toBe('ends in 3 d 4 h');
    expect(endsIn('2026-03-05T11:00:00Z', now)).toBe('has ended');
  });
  it('says what it may do, also when a newer server knows more', () => {
    expect(scopeWords('read')).toContain('change nothing');
    expect(scopeWords('gardening')).toContain('gardening');
  });
});
