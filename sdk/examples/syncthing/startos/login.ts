import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const shape = z.object({ username: z.string(), password: z.string() });

/** The first login to the web UI, `login.json` in the volume `main`. Syncthing itself keeps a hash of it. */
export const login = FileHelper.json({ base: sdk.volumes.main, subpath: 'login.json' }, shape);
