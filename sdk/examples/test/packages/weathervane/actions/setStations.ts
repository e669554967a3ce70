import { sdk } from '../sdk';
import { stations } from '../stations';

const { InputSpec, List, Value } = sdk;

const station = InputSpec.of({
  name: Value.text({ name: 'Name', required: true, default: null, patterns: [{ regex: '^[a-z]+$', description: 'Small letters' }] }),
  wind: Value.select({ name: 'Wind', default: 'west', values: { north: 'North', east: 'East', south: 'South', west: 'West' } }),
});
const form = InputSpec.of({
  stations: Value.list(List.obj({ name: 'Stations', minLength: 1 }, { spec: station, displayAs: '{{name}}', uniqueBy: 'name' })),
});

/** Says which stations there are; those that stay are not disturbed. */
export const setStations = sdk.Action.withInput(
  'set-stations',
  async ({ effects }) => ({
    name: 'Set the stations',
    description: ((await stations.read(s => s.stations.map(({ name }) => name)).const(effects)) ?? []).join(', '),
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  }),
  form,
  async () => stations.read().once() as never,
  async ({ effects, input }) => {
    await stations.merge(effects, { stations: input.stations });
  },
);
