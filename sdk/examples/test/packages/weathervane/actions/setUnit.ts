import { sdk } from '../sdk';
import { vane } from '../stations';

const { InputSpec, Value } = sdk;

const form = InputSpec.of({
  unit: Value.select({ name: 'Unit', default: 'knots', values: { knots: 'Knots', beaufort: 'Beaufort' } }),
});

/** Says in what the wind is measured, which concerns everything that runs. */
export const setUnit = sdk.Action.withInput(
  'set-unit',
  {
    name: 'Set the unit',
    description: 'In what the wind is measured.',
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  },
  form,
  async () => ({ unit: (await vane.read(v => v.UNIT).once()) === 'beaufort' ? 'beaufort' : 'knots' }) as const,
  async ({ effects, input }) => {
    await vane.merge(effects, { UNIT: input.unit });
  },
);
