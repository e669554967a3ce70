/**
 * What `uninit` is told about where the data goes next.
 *
 * Packages look at these objects' methods (`satisfies` against `satisfiedBy`), so they are the SDK's
 * own classes; only its version module is bundled.
 */
import { ExtendedVersion, VersionRange } from '@start9labs/start-sdk/node_modules/@start9labs/start-core/exver/index.js';

export type Target = ExtendedVersion | VersionRange | null;

/** @throws {Error} when the text is neither a version nor a range. */
export function parseTarget(text: string | null): Target {
  if (text === null) return null;
  try {
    return ExtendedVersion.parse(text);
  } catch {
    return VersionRange.parse(text).normalize();
  }
}
