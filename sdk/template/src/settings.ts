import { jsonFile, shape } from '@coppice/sdk';
import { pkg } from './package.js';

/** What the owner has chosen, beside what the page is served from. */
export const settings = jsonFile(
  pkg.volume('main').file('settings.json'),
  shape.object({ text: shape.string({ min: 1 }).or('It works.') }),
);
