import type { LocaleString } from '../api/schema';

/** The text in the wanted language, else English, else whichever is there. */
export function localeText(text: LocaleString, language = 'en'): string {
  if (typeof text === 'string') return text;
  const base = (tag: string) => tag.toLowerCase().split(/[-_]/)[0];
  const find = (wanted: string) => Object.entries(text).find(([tag]) => base(tag) === base(wanted))?.[1];
  return find(language) ?? find('en') ?? Object.values(text)[0] ?? '';
}
