import { actionWithForm, fields, FileModel, form, randomText, result, shape, type Format } from '@coppice/sdk';
import { settings } from './places.js';

const account = shape.object({ username: shape.string({ min: 1 }), password: shape.string({ min: 1 }) });

/** A format of our own: TiddlyWiki reads its logins from a table. There is one, of words without commas and quotes. */
const csv: Format = {
  parse(text) {
    const [username, password] = text.split('\n')[1]?.split(',') ?? [];
    return { username, password };
  },
  stringify(value) {
    const checked = account.check(value);
    if (checked.issues !== undefined) throw new Error('a login is a username and a password');
    return `username,password\n${checked.value.username},${checked.value.password}\n`;
  },
};

/** Who may read and write, `login.csv` in the volume `main`. */
export const login = new FileModel(settings.volume.file('login.csv'), account, csv);

/** Makes one where there is none: the wiki is never open to everybody. */
export async function makeLogin(): Promise<void> {
  if ((await login.readIfAny()) === null) await login.write({ username: 'admin', password: randomText(24) });
}

/** Shows the login, and changes it. `daemons` sees the file change and has the service restarted. */
export const setLogin = actionWithForm({
  id: 'set-login',
  name: 'Show or change the login',
  description: 'Who may read and write the notes.',
  form: form({
    username: fields.text({
      name: 'Username',
      description: 'It is written beside the notes as their author.',
      patterns: [{ regex: '^[A-Za-z0-9._@-]{1,100}$', description: 'Letters, digits and the signs . _ @ -' }],
    }),
    password: fields.text({
      name: 'Password',
      masked: true,
      patterns: [{ regex: '^[^\\s,"]{8,100}$', description: 'Eight characters or more, no spaces, commas or double quotes' }],
      generate: { charset: 'a-z,A-Z,0-9', len: 24 },
    }),
  }),
  current: () => login.readIfAny(),
  run: async ({ input }) => {
    await login.write(input);
    return result(
      'This is the login',
      'A wiki that is open in a browser asks for it again.',
      result.group({ Username: result.text(input.username), Password: result.text(input.password, { masked: true }) }),
    );
  },
});
