//! Where things are inside a service's container.

/// The host's socket directory, bind-mounted read-only.
pub const RPC_DIR: &str = "/media/startos/rpc";
/// The socket agent, runtime and CLI dial.
pub const HOST_SOCKET: &str = "/media/startos/rpc/host.sock";
/// The agent's own run directory: a tmpfs, mode 0700.
pub const AGENT_RUN_DIR: &str = "/run/coppice";
/// Where `start-container` reports launches and exits to the agent; root only.
pub const AGENT_SOCKET: &str = "/run/coppice/agent.sock";
/// Holds the uuid of this container life, for [`crate::Hello::boot`].
pub const BOOT_ID: &str = "/run/coppice/boot";
/// The service's log segments, bind-mounted read-write.
pub const LOG_DIR: &str = "/media/coppice/logs";
/// Roots of live subcontainers, one directory per guid.
pub const SUBCONTAINERS: &str = "/media/startos/subcontainers";
/// Mounted image file systems and their `.env` and `.json`.
pub const IMAGES: &str = "/media/startos/images";
/// One directory per volume.
pub const VOLUMES: &str = "/media/startos/volumes";
/// The package's assets.
pub const ASSETS: &str = "/media/startos/assets";
/// The package's JavaScript.
pub const PACKAGE: &str = "/usr/lib/startos/package";
/// The Node runtime's one file.
pub const RUNTIME_ENTRY: &str = "/usr/lib/startos/init/index.js";
/// The agent, pid 1 of the container.
pub const AGENT: &str = "/usr/bin/coppice-agent";
/// The CLI packages call; the exact path is part of the ABI.
pub const START_CONTAINER: &str = "/usr/bin/start-container";
/// Alias of [`START_CONTAINER`] for old scripts.
pub const START_CLI: &str = "/usr/bin/start-cli";
/// Node.
pub const NODE: &str = "/usr/bin/node";

/// Where Node keeps the package's JavaScript compiled, from one runtime to the next.
pub const COMPILE_CACHE: &str = "/var/cache/coppice/node";

/// Variable that tells a runtime its generation.
pub const ENV_GENERATION: &str = "COPPICE_GENERATION";
/// Variable that tells a spawned process the uuid of this container life.
pub const ENV_BOOT: &str = "COPPICE_BOOT";
