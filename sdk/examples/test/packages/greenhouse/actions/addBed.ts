import { beds } from '../beds';
import { sdk } from '../sdk';

const { InputSpec, Value } = sdk;

const form = InputSpec.of({
  name: Value.text({ name: 'Name', required: true, default: null }),
  cents: Value.number({ name: 'Costs', required: true, default: null, min: 1, integer: true, units: 'cents' }),
});

/** Makes a bed, and writes in the ledger what it costs. */
export const addBed = sdk.Action.withInput(
  'add-bed',
  async ({ effects }) => ({
    name: 'Add a bed',
    description: `There are ${(await beds.read(b => b.beds.length).const(effects)) ?? 0}`,
    warning: 'This costs money',
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  }),
  form,
  async () => null,
  async ({ effects, input }) => {
    const entry = { what: `bed ${input.name}`, cents: input.cents };
    const written = await effects.action.run({ packageId: 'ledger', actionId: 'add-entry', input: entry });
    const all = (await beds.read(b => b.beds).once()) ?? [];
    await beds.merge(effects, { beds: [...all, { name: input.name }] });
    const result = written?.version === '1' ? written.result : null;
    return { version: '1', title: 'There is a new bed', message: null, result };
  },
);
