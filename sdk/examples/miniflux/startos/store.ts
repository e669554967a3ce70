import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const account = z.object({
  username: z.string(),
  /** Kept until the account exists in the database, then forgotten. */
  password: z.string().nullable(),
});

const shape = z.object({
  /** Made at install; PostgreSQL asks for it on its TCP port. */
  databasePassword: z.string(),
  /** What the administrator chose; null until asked. */
  admin: account.nullable(),
});

/** What the package itself remembers, `store.json` in the volume `main`. */
export const store = FileHelper.json({ base: sdk.volumes.main, subpath: 'store.json' }, shape);
