/**
 * Taiga shows the texts of its dialogs and notices as (sanitised) HTML. Ours are plain words, many
 * of them chosen by packages, so what looks like markup in them must stay visible text.
 */
export function asMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
