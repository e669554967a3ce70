import { translations } from '@coppice/sdk';

/** What people read, in the language of their server. Made when it is asked for: only then is the language known. */
export const words = () =>
  translations(
    {
      page: 'Page',
      pageReady: 'The page is ready',
      pageUnready: 'The page is not ready',
      wiki: 'TiddlyWiki',
      wikiThere: 'What is published there is shown',
      publish: 'Nothing is published yet, so there is nothing to read here',
    },
    {
      de: {
        page: 'Seite',
        pageReady: 'Die Seite ist bereit',
        pageUnready: 'Die Seite ist nicht bereit',
        wiki: 'TiddlyWiki',
        wikiThere: 'Was dort veröffentlicht ist, wird gezeigt',
        publish: 'Noch ist nichts veröffentlicht, also gibt es hier nichts zu lesen',
      },
    },
  );
