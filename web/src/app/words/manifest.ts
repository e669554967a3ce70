import type { Manifest, PackageEntry } from '../api/schema';

/** The manifest that counts now: of the installed version, else of the one being installed. */
export function manifestOf({ stateInfo }: PackageEntry): Manifest {
  return 'manifest' in stateInfo ? stateInfo.manifest : stateInfo.installingInfo.newManifest;
}
