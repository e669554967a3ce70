/**
 * Where a package finds its things.
 *
 * Asked at each use, not kept: the test harness puts another folder in the place of `/media/startos`,
 * also for a bundle that is loaded already.
 */
import { join } from 'node:path';

/** The variable that names that other folder. */
export const MEDIA_VARIABLE = 'COPPICE_SDK_MEDIA';

/** A path below `/media/startos`. */
export function media(...parts: readonly string[]): string {
  return join(process.env[MEDIA_VARIABLE] ?? '/media/startos', ...parts);
}
