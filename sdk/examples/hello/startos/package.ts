import { definePackage } from '@coppice/sdk';

/** What the package is, needs and contains. */
export const hello = definePackage({
  id: 'hello',
  title: 'Hello',
  license: 'MIT',
  packageRepo: 'https://example.com/coppice/sdk/examples/hello',
  upstreamRepo: 'https://example.com/coppice/sdk/examples/hello',
  marketingUrl: 'https://example.com/coppice',
  description: {
    short: 'One greeting, served over HTTP',
    long: 'The smallest service there is: a page with a greeting of your choice. Made to be copied by package authors.',
  },
  // Made by `images/hello.sh`; nothing is fetched under this tag.
  images: { hello: { source: { dockerTag: 'coppice-examples/hello' }, arch: ['x86_64', 'aarch64', 'riscv64'] } },
  volumes: ['main'],
});
