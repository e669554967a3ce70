import { i18n } from '../i18n';
import { fromElsewhere, query } from '../postgres';
import { sdk } from '../sdk';
import { store } from '../store';

/** Shows what is written down, and how. */
export const report = sdk.Action.withoutInput(
  'report',
  async ({ effects }) => {
    // Told anew when the owner is another.
    const owner = await store.read(s => s.owner).const(effects);
    return {
      name: 'Report',
      description: owner === null ? 'Nobody owns this ledger yet' : `The ledger of ${owner}`,
      warning: null,
      allowedStatuses: 'only-running',
      group: 'Entries',
      visibility: owner === null ? { disabled: 'Set the owner first' } : 'enabled',
    };
  },
  async ({ effects }) => {
    const told = await sdk.SubContainer.withTemp(effects, { imageId: 'postgres' }, null, 'report', async box =>
      query(
        box,
        `SELECT count(*), coalesce(sum(cents), 0) FROM entries;
         SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'entries'`,
        { env: await fromElsewhere() },
      ),
    );
    const [sums = '', columns = ''] = told.split('\n');
    const [count = '0', cents = '0'] = sums.split('|');
    const settings = await store.read().once();
    const single = (name: string, value: string, masked = false) =>
      ({ type: 'single', name, description: null, value, copyable: false, qr: false, masked }) as const;
    return {
      version: '1',
      title: 'Report',
      message: i18n('${count} entries', { count: Number(count) }),
      result: {
        type: 'group',
        value: [
          single('Entries', count),
          single('Cents', cents),
          single('Columns', columns),
          single('Currency', JSON.stringify(settings?.currency ?? null)),
          single('Password', settings?.databasePassword ?? '', true),
        ],
      },
    };
  },
);
