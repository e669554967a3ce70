import { definePackage } from '@coppice/sdk';

/** What the package is, needs and contains. */
export const pkg = definePackage({
  id: 'my-service',
  title: 'My service',
  license: 'MIT',
  packageRepo: 'https://example.com/my-service',
  upstreamRepo: 'https://example.com/my-service',
  description: {
    short: 'One page, served over HTTP',
    long: 'A page with a text of your choice.',
  },
  // Made by `images/web.sh`.
  images: { web: { arch: ['x86_64', 'aarch64', 'riscv64'] } },
  volumes: ['main'],
});
