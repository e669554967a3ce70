import { definePackage } from '@coppice/sdk';

/** What the package is, needs and contains. */
export const tiddlywiki = definePackage({
  id: 'tiddlywiki',
  title: 'TiddlyWiki',
  license: 'BSD-3-Clause',
  packageRepo: 'https://example.com/coppice/sdk/examples/tiddlywiki',
  upstreamRepo: 'https://github.com/TiddlyWiki/TiddlyWiki5',
  marketingUrl: 'https://tiddlywiki.com',
  donationUrl: 'https://opencollective.com/tiddlywiki',
  description: {
    short: 'A notebook of small, linked notes',
    long: 'A personal wiki in one page of the browser. Every note is a file of its own; those with a tag of your choice can be published for others to read.',
  },
  // Made by `images/wiki.sh` from Debian's Node and the npm package `tiddlywiki`; nothing is fetched under this tag.
  images: { wiki: { source: { dockerTag: 'coppice-examples/tiddlywiki' }, arch: ['x86_64', 'aarch64', 'riscv64'] } },
  // `notes` is what people write, `main` what the package keeps, `site` what other packages may show.
  volumes: ['main', 'notes', 'site'],
});
