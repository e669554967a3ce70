import { actionWithForm, fields, form, result } from '@coppice/sdk';
import { config } from './config';

/** The one thing a user can set. `daemons` sees the change and has the service restarted. */
export const setGreeting = actionWithForm({
  id: 'set-greeting',
  name: 'Set greeting',
  description: 'Choose what the page says.',
  form: form({
    greeting: fields.text({
      name: 'Greeting',
      description: 'What the page says.',
      maxLength: 200,
      // The server's file holds one setting per line.
      patterns: [{ regex: '^\\S(.*\\S)?$', description: 'One line, without spaces around it' }],
    }),
  }),
  current: () => config.read(),
  run: async ({ input: { greeting } }) => {
    await config.merge({ greeting });
    return result('Greeting set', `The page now says “${greeting}”.`);
  },
});
