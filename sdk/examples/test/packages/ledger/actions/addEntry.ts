import { fromElsewhere, query } from '../postgres';
import { sdk } from '../sdk';

const { InputSpec, Value } = sdk;

const form = InputSpec.of({
  what: Value.text({ name: 'What', required: true, default: null }),
  cents: Value.number({ name: 'Cents', required: true, default: 100, min: 1, max: 1_000_000, integer: true }),
});

/** Writes a row; services that depend on this one may, too. */
export const addEntry = sdk.Action.withInput(
  'add-entry',
  {
    name: 'Add an entry',
    description: 'Writes down what was bought.',
    warning: null,
    allowedStatuses: 'only-running',
    group: 'Entries',
    visibility: 'enabled',
    access: 'dependent',
  },
  form,
  async () => null,
  async ({ effects, input }) => {
    const insert = "INSERT INTO entries (what, cents) VALUES (:'what', :cents) RETURNING id";
    const variables = { what: input.what, cents: String(input.cents) };
    const id = await sdk.SubContainer.withTemp(effects, { imageId: 'postgres' }, null, 'add-entry', async box =>
      query(box, insert, { variables, env: await fromElsewhere() }),
    );
    return {
      version: '1',
      title: 'Written down',
      message: null,
      result: { type: 'single', value: id, copyable: true, qr: false, masked: false },
    };
  },
);
