import { envFile, shape } from '@coppice/sdk';
import { hello } from './package';

/** The file that the server reads at start, `hello.conf` in the volume `main`. */
export const config = envFile(
  hello.volume('main').file('hello.conf'),
  // A file that a person has broken by hand must not keep the service from starting.
  shape.object({ greeting: shape.string({ min: 1 }).or('Hello from Coppice') }),
);
