/** The versions that the tests go through are one bundle of each package: `build.sh` says here which one it is. */
import { VersionGraph, type VersionInfo } from '@start9labs/start-sdk';

export const version: string = '@VERSION@';

/** The versions there were by then, the one that it is being the newest. */
export const graphOf = (
  v1_0_0: VersionInfo<string>,
  v2_0_0: VersionInfo<string>,
  v2_1_0: VersionInfo<string>,
): VersionGraph<string> =>
  version === '1.0.0'
    ? VersionGraph.of({ current: v1_0_0, other: [] })
    : version === '2.0.0'
      ? VersionGraph.of({ current: v2_0_0, other: [v1_0_0] })
      : VersionGraph.of({ current: v2_1_0, other: [v2_0_0, v1_0_0] });
