import { setupManifest } from '@start9labs/start-sdk';

/** What the package is, needs and contains; read when it is packed. */
export const manifest = setupManifest({
  id: 'hello',
  title: 'Hello',
  license: 'MIT',
  packageRepo: 'https://example.com/coppice/sdk/examples/hello',
  upstreamRepo: 'https://example.com/coppice/sdk/examples/hello',
  marketingUrl: 'https://example.com/coppice',
  donationUrl: null,
  description: {
    short: 'One greeting, served over HTTP',
    long: 'The smallest service there is: a page with a greeting of your choice. Made to be copied by package authors.',
  },
  images: {
    // Made by `images/hello.sh`; nothing is fetched under this tag.
    hello: {
      source: { dockerTag: 'coppice-examples/hello' },
      arch: ['x86_64', 'aarch64', 'riscv64'],
      emulateMissingAs: null,
    },
  },
  volumes: ['main'],
  dependencies: {},
});
