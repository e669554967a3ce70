import { sdk } from './sdk';
import { store } from './store';

const { InputSpec, Value } = sdk;

const name = { regex: '^[A-Za-z0-9._@-]{1,100}$', description: 'Letters, digits and the signs . _ @ -' };
// Line ends cannot be written into Miniflux's settings file.
const secret = { regex: '^\\S.{4,}\\S$', description: 'Six characters or more, on one line, without spaces around them' };

const input = InputSpec.of({
  username: Value.text({
    name: 'Username',
    description: 'Who administers this Miniflux.',
    required: true,
    default: 'admin',
    maxLength: 100,
    patterns: [name],
  }),
  password: Value.text({
    name: 'Password',
    description: 'Keep it: it is not shown again.',
    required: true,
    masked: true,
    minLength: 6,
    patterns: [secret],
    default: null,
    generate: { charset: 'a-z,A-Z,0-9', len: 24 },
  }),
});

/** Asked once, by a critical task, before the first start: see `index.ts`. */
export const setAdmin = sdk.Action.withInput(
  'set-admin',
  async ({ effects }) => {
    const chosen = await store.read(s => s.admin?.username ?? null).const(effects);
    return {
      name: 'Create the admin account',
      description: 'Choose who administers this Miniflux.',
      warning: null,
      visibility: chosen
        ? { disabled: `The account “${chosen}” was chosen. Change its password in Miniflux, under Settings.` }
        : 'enabled',
      // The account is made while starting; see `main.ts`.
      allowedStatuses: 'only-stopped',
      group: null,
    };
  },
  input,
  async () => null,
  async ({ effects, input: { username, password } }) => {
    // The form shows its rules, but the SDK does not apply them to what is sent.
    if (!new RegExp(name.regex).test(username)) throw new Error(`Username: ${name.description}`);
    if (!new RegExp(secret.regex).test(password)) throw new Error(`Password: ${secret.description}`);
    await store.merge(effects, { admin: { username, password } });
    return {
      version: '1',
      title: 'Account chosen',
      message: 'It is created when Miniflux starts.',
      result: {
        type: 'group',
        value: [
          { type: 'single', name: 'Username', description: null, value: username, copyable: true, qr: false, masked: false },
          { type: 'single', name: 'Password', description: null, value: password, copyable: true, qr: false, masked: true },
        ],
      },
    };
  },
);
