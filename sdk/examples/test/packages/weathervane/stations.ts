import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const station = z.object({ name: z.string(), wind: z.string(), /** Since 2.0. */ every: z.number().optional() });
const shape = z.object({ stations: z.array(station).catch([]) });

/** The stations, `stations.yaml` in the volume `main`: a process each. */
export const stations = FileHelper.yaml({ base: sdk.volumes.main, subpath: 'stations.yaml' }, shape);

/** What all of them go by, `vane.env` in the volume `main`. */
export const vane = FileHelper.env({ base: sdk.volumes.main, subpath: 'vane.env' }, z.object({ UNIT: z.string().catch('knots') }));

/** How it is drawn, `look.ini` in the volume `main`; read by nobody but people. */
export const look = FileHelper.ini({ base: sdk.volumes.main, subpath: 'look.ini' }, z.object({ rooster: z.object({ colour: z.string() }) }));
