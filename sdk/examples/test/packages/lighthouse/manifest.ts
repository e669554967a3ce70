import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains. */
export const manifest = setupManifest({
  id: 'lighthouse',
  title: 'Lighthouse',
  license: 'MIT',
  packageRepo: 'https://example.com/lighthouse-startos',
  upstreamRepo: 'https://example.com/lighthouse',
  marketingUrl: 'https://example.com/lighthouse',
  donationUrl: null,
  description: { short: 'Seen from many sides', long: 'A service with as many ways in as one can have.' },
  images: { web: { source: { dockerTag: 'example/lighttpd' }, arch: ['x86_64', 'aarch64'], emulateMissingAs: null } },
  volumes: ['main'],
  dependencies: {},
});
