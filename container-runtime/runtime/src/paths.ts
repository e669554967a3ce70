/** Where things are in the container; the same as `paths` in the `coppice-wire` crate. */
export const HOST_SOCKET = '/media/startos/rpc/host.sock';
export const PACKAGE = '/usr/lib/startos/package/index.js';
/** Survives as long as the container: what a restarted runtime need not compile again. */
export const COMPILE_CACHE = '/var/cache/coppice/node';
