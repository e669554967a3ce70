import { setupManifest } from '@start9labs/start-sdk';

const everywhere: { arch: ['x86_64', 'aarch64', 'riscv64']; emulateMissingAs: null } = {
  arch: ['x86_64', 'aarch64', 'riscv64'],
  emulateMissingAs: null,
};

/** What the package is, needs and contains; read when it is packed. */
export const manifest = setupManifest({
  id: 'miniflux',
  title: 'Miniflux',
  license: 'Apache-2.0',
  packageRepo: 'https://example.com/coppice/sdk/examples/miniflux',
  upstreamRepo: 'https://github.com/miniflux/v2',
  marketingUrl: 'https://miniflux.app',
  donationUrl: 'https://miniflux.app/#donations',
  description: {
    short: 'A minimalist feed reader',
    long: 'Reads RSS, Atom and JSON feeds and shows what is new, on one quiet page. Keeps everything in a PostgreSQL database of its own.',
  },
  images: {
    // Made by the scripts in `images/` from Debian's packages; nothing is fetched under these tags.
    miniflux: { source: { dockerTag: 'coppice-examples/miniflux' }, ...everywhere },
    postgres: { source: { dockerTag: 'coppice-examples/postgres' }, ...everywhere },
  },
  // `main` holds secrets, `db` the database.
  volumes: ['main', 'db'],
  dependencies: {},
});
