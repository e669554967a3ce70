/** Who has access, in words. */
import { uptime } from './time';

/** Longest names first: an Edge calls itself a Chrome, and a Chrome a Safari. */
const BROWSERS = [
  ['Edg', 'Edge'],
  ['OPR', 'Opera'],
  ['Firefox', 'Firefox'],
  ['Chrome', 'Chrome'],
  ['Safari', 'Safari'],
] as const;
const SYSTEMS = [
  ['Android', 'Android'],
  ['iPhone', 'an iPhone'],
  ['iPad', 'an iPad'],
  ['Windows', 'Windows'],
  ['Macintosh', 'a Mac'],
  ['Linux', 'Linux'],
] as const;

/** "Firefox on Linux"; what calls itself something else keeps its name. */
export function browserName(userAgent: string | null): string {
  if (userAgent === null || userAgent === '') return 'A program without a name';
  const browser = BROWSERS.find(([mark]) => userAgent.includes(`${mark}/`))?.[1];
  const system = SYSTEMS.find(([mark]) => userAgent.includes(mark))?.[1];
  if (!browser) return userAgent.length > 60 ? `${userAgent.slice(0, 60)}…` : userAgent;
  return system ? `${browser} on ${system}` : browser;
}

/** What a token or a key may do. */
export function scopeWords(scope: string): string {
  switch (scope) {
    case 'read':
      return 'may look, and change nothing';
    case 'services':
      return 'may look, and run services and packages';
    case 'admin':
      return 'may do everything but change who has access';
    default:
      return `may do “${scope}”`;
  }
}

/** "ends in 3 d 4 h". */
export function endsIn(expires: string, now: number): string {
  const left = Date.parse(expires) - now;
  // How long something has been up is the same span, seen from its end.
  const span = uptime(new Date(now - left).toISOString(), now);
  return left > 0 ? `ends in ${span}` : 'has ended';
}
