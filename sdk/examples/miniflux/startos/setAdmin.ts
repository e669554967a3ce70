import { actionWithForm, fields, form, ownTask, result, use, type Effects, type Task } from '@coppice/sdk';
import { store } from './store.js';

/** Asked once, by a critical task, before the first start. */
export const setAdmin = actionWithForm({
  id: 'set-admin',
  name: 'Create the admin account',
  description: 'Choose who administers this Miniflux.',
  form: form({
    username: fields.text({
      name: 'Username',
      description: 'Who administers this Miniflux.',
      default: 'admin',
      patterns: [{ regex: '^[A-Za-z0-9._@-]{1,100}$', description: 'Letters, digits and the signs . _ @ -' }],
    }),
    password: fields.text({
      name: 'Password',
      description: 'Keep it: it is not shown again.',
      masked: true,
      // Line ends cannot be written into Miniflux's settings file.
      patterns: [{ regex: '^\\S.{4,}\\S$', description: 'Six characters or more, on one line, without spaces around them' }],
      generate: { charset: 'a-z,A-Z,0-9', len: 24 },
    }),
  }),
  visibility: async effects => {
    const chosen = await use(effects, store, ({ admin }) => admin?.username ?? null);
    return chosen === null ? 'enabled' : { disabled: `The account “${chosen}” was chosen. Change its password in Miniflux, under Settings.` };
  },
  // The account is made while starting; see `prepare.ts`.
  allowedStatuses: 'only-stopped',
  run: async ({ input: { username, password } }) => {
    await store.merge({ admin: { username, password } });
    return result(
      'Account chosen',
      'It is created when Miniflux starts.',
      result.group({ Username: result.text(username), Password: result.text(password, { masked: true }) }),
    );
  },
});

/** Asks until it is chosen. Nothing starts before: a Miniflux without an account is one that nobody can log in to. */
export async function askForAdmin(effects: Effects): Promise<readonly Task[]> {
  if ((await use(effects, store, ({ admin }) => admin)) !== null) return [];
  return [ownTask({ action: setAdmin, severity: 'critical', reason: 'Miniflux needs an account before its first start' })];
}
