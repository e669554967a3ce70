import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains. */
export const manifest = setupManifest({
  id: 'weathervane',
  title: 'Weathervane',
  license: 'MIT',
  packageRepo: 'https://example.com/weathervane-startos',
  upstreamRepo: 'https://example.com/weathervane',
  marketingUrl: 'https://example.com/weathervane',
  donationUrl: null,
  description: { short: 'Where the wind is from', long: 'Some stations, a process each, as many as one wants.' },
  images: { web: { source: { dockerTag: 'example/lighttpd' }, arch: ['x86_64', 'aarch64'], emulateMissingAs: null } },
  volumes: ['main'],
  dependencies: {},
});
