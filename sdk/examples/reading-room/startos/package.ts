import { definePackage } from '@coppice/sdk';

/** What the package is, needs and contains. */
export const readingRoom = definePackage({
  id: 'reading-room',
  title: 'Reading Room',
  license: 'MIT',
  packageRepo: 'https://example.com/coppice/sdk/examples/reading-room',
  upstreamRepo: 'https://example.com/coppice/sdk/examples/reading-room',
  marketingUrl: 'https://example.com/coppice',
  description: {
    short: { en_US: 'Shows published notes to everybody', de_DE: 'Zeigt veröffentlichte Notizen allen' },
    long: {
      en_US: 'One page with the notes that you have published in TiddlyWiki, for people who have no login there. It can only read.',
      de_DE: 'Eine Seite mit den Notizen, die du in TiddlyWiki veröffentlicht hast, für alle ohne Zugang dort. Sie kann nur lesen.',
    },
  },
  // Made by `images/web.sh` from Debian's packages; nothing is fetched under this tag.
  images: { web: { source: { dockerTag: 'coppice-examples/reading-room' }, arch: ['x86_64', 'aarch64', 'riscv64'] } },
  // It keeps nothing of its own.
  volumes: [],
  dependencies: {
    tiddlywiki: {
      description: { en_US: 'The notes are its, and it makes the page', de_DE: 'Die Notizen sind dort, und die Seite entsteht dort' },
      optional: false,
      metadata: { title: 'TiddlyWiki', icon: 'icons/tiddlywiki.svg' },
    },
  },
});

/** Whose notes are shown. */
export const wiki = readingRoom.dependency('tiddlywiki');
