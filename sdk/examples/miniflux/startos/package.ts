import { definePackage } from '@coppice/sdk';

const arch = ['x86_64', 'aarch64', 'riscv64'] as const;

/** What the package is, needs and contains. */
export const miniflux = definePackage({
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
    miniflux: { source: { dockerTag: 'coppice-examples/miniflux' }, arch },
    postgres: { source: { dockerTag: 'coppice-examples/postgres' }, arch },
  },
  // `main` holds secrets and settings, `db` the database.
  volumes: ['main', 'db'],
});
