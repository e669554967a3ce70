import { VersionInfo } from '@start9labs/start-sdk';
import { alone, query } from '../postgres';
import { store } from '../store';

/** One that should not have been published: it gives up half-way. */
export const v2_1_0 = VersionInfo.of({
  version: '2.1.0:0',
  releaseNotes: { en_US: 'Entries are in other words.' },
  migrations: {
    up: async ({ effects }) => {
      await store.merge(effects, { owner: 'Nobody', published: false });
      await alone(effects, async postgres => {
        await query(postgres, 'DROP TABLE entries');
      });
      throw new Error('the entries are in no known words');
    },
  },
});
