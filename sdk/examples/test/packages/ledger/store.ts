import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const shape = z.object({
  databasePassword: z.string(),
  owner: z.string().nullable().catch(null),
  published: z.boolean().catch(false),
  /** Since 2.0. */
  currency: z.object({ code: z.string(), digits: z.number() }).optional().catch(undefined),
});

/** Settings and secrets, `store.json` in the volume `main`. */
export const store = FileHelper.json({ base: sdk.volumes.main, subpath: 'store.json' }, shape);
