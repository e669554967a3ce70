import { jsonFile, randomText, shape } from '@coppice/sdk';
import { miniflux } from './package.js';

const account = shape.object({
  username: shape.string(),
  /** Kept until the account exists in the database, then forgotten. */
  password: shape.string().nullable(),
});

/** What the package itself remembers, `store.json` in the volume `main`. */
export const store = jsonFile(
  miniflux.volume('main').file('store.json'),
  shape.object({
    /** Made at install; PostgreSQL asks for it on its TCP port. */
    databasePassword: shape.string({ min: 1 }),
    /** What the administrator chose; null until asked. */
    admin: account.nullable(),
  }),
);

/** Makes it, with a password of its own, where there is none yet: data that was kept from a former install has one. */
export async function makeStore(): Promise<void> {
  if ((await store.readIfAny()) === null) await store.write({ databasePassword: randomText(32), admin: null });
}
