import { rename, rm } from 'node:fs/promises';
import { actionWithForm, fields, form, jsonFile, result, shape, withSubcontainer, type Effects } from '@coppice/sdk';
import { tiddlywiki } from './package.js';
import { notes, settings, site } from './places.js';

const tag = { min: 1, max: 50, pattern: /^[A-Za-z0-9 _-]+$/ };

/** What is published, `publishing.json` in the volume `main`. */
export const publishing = jsonFile(
  settings.volume.file('publishing.json'),
  shape.object({ published: shape.boolean().or(false), tag: shape.string(tag).or('public') }),
);

const box = tiddlywiki.subcontainer({
  image: 'wiki',
  name: 'publish',
  mounts: [notes.volume.at(notes.at, { readonly: true }), site.volume.at(site.at)],
});

/** Makes the volume `site` say what is to be published as the notes are now: one page without scripts, or nothing. */
export async function publish(effects: Effects): Promise<void> {
  const { published, tag } = await publishing.read();
  const page = site.volume.path('index.html');
  if (!published) return rm(page, { force: true });
  const chosen = `[tag[${tag}]!is[system]sort[title]]`;
  const render = ['--render', '$:/core/templates/exporters/StaticRiver', 'next.html', 'text/plain', '', 'exportFilter', chosen];
  await withSubcontainer(effects, box, async inside => {
    // A wiki of its own, with the notes loaded into it: the real one would try for ever to save what it may only read.
    await inside.writeFile(`${SHEET}/tiddlywiki.info`, JSON.stringify({ themes: ['tiddlywiki/vanilla', 'tiddlywiki/snowwhite'] }));
    const load = ['--load', `${notes.at}/tiddlers`, 'noerror'];
    await inside.run(['tiddlywiki', SHEET, ...load, '--output', site.at, ...render], { timeoutMs: 120_000 });
  });
  // Whoever reads meanwhile gets the old page or the new one.
  await rename(site.volume.path('next.html'), page);
}

const SHEET = '/tmp/sheet';

/** Also run by tasks of packages that show the page. */
export const setPublishing = actionWithForm({
  id: 'publish',
  name: 'Publish notes',
  description: 'Makes one page of the notes with a tag, for packages that show it. Run it again when they have changed.',
  form: form({
    published: fields.toggle({ name: 'Publish', description: 'Off takes the page away.', default: true }),
    tag: fields.text({
      name: 'Tag',
      description: 'Only notes with this tag are published.',
      default: 'public',
      maxLength: tag.max,
      patterns: [{ regex: tag.pattern.source, description: 'Letters, digits, spaces and the signs _ -' }],
    }),
  }),
  current: () => publishing.read(),
  run: async ({ effects, input }) => {
    await publishing.write(input);
    await publish(effects);
    return input.published
      ? result('Published', `Notes with the tag “${input.tag}” are on the page, as they are now.`)
      : result('Taken back', 'The page is gone.');
  },
});
