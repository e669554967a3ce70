import { StartSdk } from '@start9labs/start-sdk';
import { manifest } from './manifest';

/** The SDK, knowing the names of this package's volumes and images. */
export const sdk = StartSdk.of().withManifest(manifest).build(true);
