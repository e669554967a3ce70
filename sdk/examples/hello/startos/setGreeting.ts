import { config } from './config';
import { sdk } from './sdk';

const { InputSpec, Value } = sdk;

/** The server's file holds one setting per line. */
const line = { regex: '^\\S(.*\\S)?$', description: 'One line, without spaces around it' };

const input = InputSpec.of({
  greeting: Value.text({
    name: 'Greeting',
    description: 'What the page says.',
    required: true,
    default: null,
    maxLength: 200,
    patterns: [line],
  }),
});

/** The one thing a user can set. `main` sees the file change and restarts the server. */
export const setGreeting = sdk.Action.withInput(
  'set-greeting',
  {
    name: 'Set greeting',
    description: 'Choose what the page says.',
    warning: null,
    visibility: 'enabled',
    allowedStatuses: 'any',
    group: null,
  },
  input,
  async () => config.read().once(),
  async ({ effects, input: { greeting } }) => {
    // The form shows its rules, but the SDK does not apply them to what is sent.
    if (!new RegExp(line.regex).test(greeting)) throw new Error(`Greeting: ${line.description}`);
    await config.merge(effects, { greeting });
    return { version: '1', title: 'Greeting set', message: `The page now says “${greeting}”.`, result: null };
  },
);
