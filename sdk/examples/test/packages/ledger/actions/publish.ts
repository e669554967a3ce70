import { sdk } from '../sdk';
import { store } from '../store';

const { InputSpec, Value } = sdk;

const form = InputSpec.of({
  published: Value.toggle({ name: 'Published', default: false }),
  note: Value.textarea({ name: 'Note', required: false, default: null }),
});

/** Shows the page to other services, or no more. */
export const publish = sdk.Action.withInput(
  'publish',
  {
    name: 'Publish',
    description: 'Whether other services may read the page.',
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  },
  form,
  async () => ({ published: (await store.read(s => s.published).once()) ?? false }),
  async ({ effects, input }) => {
    await store.merge(effects, { published: input.published });
  },
);
