import { login } from './login';
import { sdk } from './sdk';

/** Shows the login that was made at install; a password changed in Syncthing is not known here. */
export const showLogin = sdk.Action.withoutInput(
  'show-login',
  {
    name: 'Show the first login',
    description: 'The username and password that Syncthing was installed with.',
    warning: null,
    visibility: 'enabled',
    allowedStatuses: 'any',
    group: null,
  },
  async () => {
    const found = await login.read().once();
    if (!found) throw new Error('login.json is missing from the volume `main`; reinstall or restore Syncthing');
    return {
      version: '1',
      title: 'The first login',
      message: 'Once you have changed the password in Syncthing, this one is no longer valid.',
      result: {
        type: 'group',
        value: [
          { type: 'single', name: 'Username', description: null, value: found.username, copyable: true, qr: false, masked: false },
          { type: 'single', name: 'Password', description: null, value: found.password, copyable: true, qr: false, masked: true },
        ],
      },
    };
  },
);
