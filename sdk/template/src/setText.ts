import { actionWithForm, fields, form, result } from '@coppice/sdk';
import { settings } from './settings.js';

/** The one thing that a person can set. */
export const setText = actionWithForm({
  id: 'set-text',
  name: 'Set the text',
  description: 'Choose what the page says.',
  form: form({ text: fields.text({ name: 'Text', maxLength: 200 }) }),
  current: () => settings.read(),
  run: async ({ input: { text } }) => {
    await settings.merge({ text });
    return result('The text is set', `The page now says “${text}”.`);
  },
});
