/** Texts in the language of the host. */

type Texts = Readonly<Record<string, string>>;
type Blanks<S extends string> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Blanks<Rest> : never;

/** What a text needs to be complete: nothing, or a value for each of its `{blanks}`. */
export type Fillings<S extends string> = [Blanks<S>] extends [never] ? [] : [values: Readonly<Record<Blanks<S>, string | number>>];

/** Gives a text by its key. */
export type Translate<T extends Texts> = <K extends keyof T & string>(key: K, ...values: Fillings<T[K]>) => string;

/**
 * The host's language, such as `de_DE`; without one, English.
 *
 * @example
 * ```ts
 * import { hostLocale } from '@coppice/sdk';
 *
 * const day = new Intl.DateTimeFormat(hostLocale().replace('_', '-'), { weekday: 'long' }).format(0);
 * ```
 */
export function hostLocale(): string {
  return (process.env['LANG'] ?? '').split('.')[0] || 'en_US';
}

/**
 * Texts by key, in the host's language; what a language lacks does not compile.
 *
 * The first language is the one for everybody else. The host makes the container anew when its language
 * changes, so asking once is enough.
 *
 * @example
 * ```ts
 * import { translations } from '@coppice/sdk';
 *
 * const t = translations(
 *   { greeting: 'Greeting', set: 'The page now says “{text}”.' },
 *   { de: { greeting: 'Begrüßung', set: 'Auf der Seite steht jetzt „{text}“.' } },
 * );
 * const title = t('greeting');
 * const message = t('set', { text: 'Hi' });
 * ```
 */
export function translations<const T extends Texts>(
  texts: T,
  others: Readonly<Record<string, { readonly [K in keyof T]: string }>>,
): Translate<T> {
  const locale = hostLocale();
  const language = locale.split('_')[0] ?? locale;
  const chosen: Texts = others[locale] ?? others[language] ?? texts;
  return (key, ...values) => {
    const [fillings = {}] = values;
    return (chosen[key] ?? texts[key] ?? key).replace(/\{(\w+)\}/g, (blank, name: string) => {
      const value: unknown = Reflect.get(fillings, name);
      return value === undefined ? blank : String(value);
    });
  };
}
