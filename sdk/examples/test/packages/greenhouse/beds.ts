import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const bed = z.object({ name: z.string(), /** Since 2.0. */ crop: z.string().optional() });
const shape = z.object({ beds: z.array(bed).catch([]) });

/** The beds, `beds.yaml` in the volume `main`. */
export const beds = FileHelper.yaml({ base: sdk.volumes.main, subpath: 'beds.yaml' }, shape);
