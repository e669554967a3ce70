/** What the host calls. */
import { buildManifest } from '@start9labs/start-sdk';
import { graphOf } from '../version';
import { manifest as ownManifest } from './manifest';
import { initWith, uninitWith } from './package';
import { v1_0_0 } from './versions/v1_0_0';
import { v2_0_0 } from './versions/v2_0_0';
import { v2_1_0 } from './versions/v2_1_0';

const versions = graphOf(v1_0_0, v2_0_0, v2_1_0);
export const manifest = buildManifest(versions, ownManifest);
export const init = initWith(versions);
export const uninit = uninitWith(versions);
export { actions } from './actions';
export { createBackup } from './backups';
export { main } from './main';
