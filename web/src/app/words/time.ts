/** Times in words. Every function takes `now`; none reads a clock. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long something has been up: the two largest units, `null` when the start is not a time. */
export function uptime(started: string, now: number): string | null {
  const ms = now - Date.parse(started);
  if (Number.isNaN(ms)) return null;
  if (ms < MINUTE) return 'under a minute';
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  const [big, small, bigUnit, smallUnit] =
    ms < DAY ? ([HOUR, MINUTE, 'h', 'min'] as const) : ([DAY, HOUR, 'd', 'h'] as const);
  const rest = Math.floor((ms % big) / small);
  return `${Math.floor(ms / big)} ${bigUnit}${rest > 0 ? ` ${rest} ${smallUnit}` : ''}`;
}

/** "just now", "5 min ago", "3 h 10 min ago", "2 d ago". */
export function ago(at: string, now: number): string {
  const ms = now - Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return ms < MINUTE ? 'just now' : `${uptime(at, now)} ago`;
}

/** The time of day, as the browser's language writes it. */
export function clockTime(at: string, locale?: string, timeZone?: string): string {
  const ms = Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', timeZone }).format(ms);
}

/** The time of day to the second, for log lines. */
export function logTime(at: string, locale?: string, timeZone?: string): string {
  const ms = Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return new Intl.DateTimeFormat(locale, { timeStyle: 'medium', timeZone }).format(ms);
}

/** Date and time to the second, as the browser's language writes them. */
export function fullTime(at: string, locale?: string, timeZone?: string): string {
  const ms = Date.parse(at);
  if (Number.isNaN(ms)) return at;
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone }).format(ms);
}
