/** Where things are in the container; the same as `paths` in the `coppice-wire` crate. */
export const HOST_SOCKET = '/media/startos/rpc/host.sock';
export const PACKAGE = '/usr/lib/startos/package/index.js';
