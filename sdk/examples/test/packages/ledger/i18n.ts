import { setupI18n } from '@start9labs/start-sdk';

const words = { Database: 0, Page: 1, Entries: 2, 'Set the owner': 3, 'Whose ledger is this?': 4, '${count} entries': 5 };
const german = { 0: 'Datenbank', 1: 'Seite', 2: 'Einträge', 3: 'Besitzer angeben', 4: 'Wem gehört das Buch?', 5: '${count} Einträge' };

/** What people read, in the language of their server. */
export const i18n = setupI18n(words, { de_DE: german }, 'en_US');
