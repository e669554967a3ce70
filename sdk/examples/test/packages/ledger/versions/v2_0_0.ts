import { VersionInfo } from '@start9labs/start-sdk';
import { alone, query } from '../postgres';
import { store } from '../store';

export const v2_0_0 = VersionInfo.of({
  version: '2.0.0:0',
  releaseNotes: { en_US: 'Entries have a tag, and the ledger a currency.' },
  migrations: {
    up: async ({ effects, progress }) => {
      const phase = progress.addPhase('Tagging entries', 1);
      phase.start();
      await alone(effects, async postgres => {
        await query(postgres, "ALTER TABLE entries ADD COLUMN tag text NOT NULL DEFAULT 'old'");
      });
      await store.merge(effects, { currency: { code: 'EUR', digits: 2 } });
      phase.complete();
    },
    down: async ({ effects }) => {
      await alone(effects, async postgres => {
        await query(postgres, 'ALTER TABLE entries DROP COLUMN tag');
      });
    },
  },
});
