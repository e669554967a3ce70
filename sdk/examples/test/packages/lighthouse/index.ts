/** What the host calls. The versions that the tests go through are one bundle: `build.sh` says in it which one it is. */
import { buildManifest, VersionGraph } from '@start9labs/start-sdk';
import { mainWith } from './main';
import { manifest as ownManifest } from './manifest';
import { initWith, uninitWith } from './package';
import { v1_0_0 } from './versions/v1_0_0';
import { v2_0_0 } from './versions/v2_0_0';
import { v2_1_0 } from './versions/v2_1_0';

const version: string = '@VERSION@';
const versions: VersionGraph<string> =
  version === '1.0.0'
    ? VersionGraph.of({ current: v1_0_0, other: [] })
    : version === '2.0.0'
      ? VersionGraph.of({ current: v2_0_0, other: [v1_0_0] })
      : VersionGraph.of({ current: v2_1_0, other: [v2_0_0, v1_0_0] });
export const manifest = buildManifest(versions, ownManifest);
export const init = initWith(versions, version === '1.0.0' ? 'first' : version === '2.0.0' ? 'second' : 'none');
export const uninit = uninitWith(versions);
export const main = mainWith(version !== '2.1.0');
export { actions, createBackup } from './package';
