import { i18n } from '../i18n';
import { sdk } from '../sdk';
import { store } from '../store';

const { InputSpec, Value } = sdk;

const form = InputSpec.of({
  owner: Value.text({
    name: 'Owner',
    required: true,
    default: null,
    patterns: [{ regex: '^[A-Z].*$', description: 'Begins with a capital letter' }],
  }),
});

/** Says whose ledger it is; nothing starts before. */
export const setOwner = sdk.Action.withInput(
  'set-owner',
  async () => ({
    name: i18n('Set the owner'),
    description: i18n('Whose ledger is this?'),
    warning: null,
    allowedStatuses: 'any',
    group: null,
    visibility: 'enabled',
  }),
  form,
  async () => {
    const owner = await store.read(s => s.owner).once();
    return owner === null ? null : { owner };
  },
  async ({ effects, input }) => {
    await store.merge(effects, { owner: input.owner });
    await sdk.action.clearTask(effects, 'owner');
  },
);
