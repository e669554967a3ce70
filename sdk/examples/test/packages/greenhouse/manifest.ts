import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains. */
export const manifest = setupManifest({
  id: 'greenhouse',
  title: 'Greenhouse',
  license: 'MIT',
  packageRepo: 'https://example.com/greenhouse-startos',
  upstreamRepo: 'https://example.com/greenhouse',
  marketingUrl: 'https://example.com/greenhouse',
  donationUrl: null,
  description: { short: 'Beds, and what they cost', long: 'Shows the beds of a greenhouse beside the ledger that their costs are in.' },
  images: { web: { source: { dockerTag: 'example/lighttpd' }, arch: ['x86_64', 'aarch64'], emulateMissingAs: null } },
  volumes: ['main'],
  dependencies: {
    ledger: { description: 'The costs are written down there', optional: false, metadata: { title: 'Ledger', icon: 'icon.svg' } },
  },
});
