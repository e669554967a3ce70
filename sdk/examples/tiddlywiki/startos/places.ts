import { tiddlywiki } from './package.js';

/** Where things are: in the package's volumes, and in the container of the wiki. */
export const settings = { volume: tiddlywiki.volume('main'), at: '/settings' };
export const notes = { volume: tiddlywiki.volume('notes'), at: '/notes' };
export const site = { volume: tiddlywiki.volume('site'), at: '/site' };

/** The user that the wiki runs as, see `images/wiki.json`. */
export const user = 'wiki';
