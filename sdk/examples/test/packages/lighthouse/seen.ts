import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const shape = z.object({ page: z.string().optional(), starts: z.coerce.number().catch(0), lamp: z.string().optional() });

/** What it knows of itself, `seen.toml` in the volume `main`. */
export const seen = FileHelper.toml({ base: sdk.volumes.main, subpath: 'seen.toml' }, shape);
