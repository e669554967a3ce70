import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains. */
export const manifest = setupManifest({
  id: 'ledger',
  title: 'Ledger',
  license: 'MIT',
  packageRepo: 'https://example.com/ledger-startos',
  upstreamRepo: 'https://example.com/ledger',
  marketingUrl: 'https://example.com/ledger',
  donationUrl: null,
  description: {
    short: { en_US: 'What was bought, and for how much', de_DE: 'Was gekauft wurde, und für wie viel' },
    long: {
      en_US: 'Keeps entries in a PostgreSQL database and shows them on a page.',
      de_DE: 'Hält Einträge in einer PostgreSQL-Datenbank und zeigt sie auf einer Seite.',
    },
  },
  images: {
    postgres: { source: { dockerTag: 'example/postgres:17' }, arch: ['x86_64', 'aarch64'], emulateMissingAs: null },
    web: { source: { dockerTag: 'example/lighttpd' }, arch: ['x86_64', 'aarch64'], emulateMissingAs: null },
  },
  volumes: ['main', 'db'],
  dependencies: {},
});
