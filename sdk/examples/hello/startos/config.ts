import { FileHelper, z } from '@start9labs/start-sdk';
import { sdk } from './sdk';

const shape = z.object({
  // A file that a person has broken by hand must not keep the service from starting.
  greeting: z.string().min(1).catch('Hello from Coppice'),
});

/** The file that the server reads at start, `hello.conf` in the volume `main`. */
export const config = FileHelper.env({ base: sdk.volumes.main, subpath: 'hello.conf' }, shape);
