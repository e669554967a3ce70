import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains; read when it is packed. */
export const manifest = setupManifest({
  id: 'syncthing',
  title: 'Syncthing',
  license: 'MPL-2.0',
  packageRepo: 'https://example.com/coppice/sdk/examples/syncthing',
  upstreamRepo: 'https://github.com/syncthing/syncthing',
  marketingUrl: 'https://syncthing.net',
  donationUrl: 'https://syncthing.net/donations/',
  description: {
    short: 'Keeps folders the same on all your devices',
    long: 'Synchronises files between your devices directly, without a server of anybody else in between. Every connection is encrypted.',
  },
  images: {
    // Made by `images/syncthing.sh` from Debian's packages; nothing is fetched under this tag.
    syncthing: {
      source: { dockerTag: 'coppice-examples/syncthing' },
      arch: ['x86_64', 'aarch64', 'riscv64'],
      emulateMissingAs: null,
    },
  },
  volumes: ['main'],
  dependencies: {},
});
