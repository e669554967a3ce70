//! The border between what runs services and what runs containers.

use std::{path::PathBuf, pin::Pin, time::Duration};

use crate::{
    Check, ContainerSpec, CreateError, Exit, Inspection, Limits, OpError, Receipt, Running,
    Segment, Usage, VolumeMount,
};

/// The answer of a backend, later.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes, watches and removes containers.
///
/// Every operation is idempotent: asking for what already holds is `Ok`. Operations on different
/// instances run side by side. On one instance [`create`] and [`destroy`] wait for what was asked for
/// before them, and what is asked for after them waits for them; reading ([`inspect`], [`wait_exit`],
/// [`subcontainers`], [`usage`]) waits for nothing. Dropping a pending answer does not undo what was begun.
///
/// [`create`]: Backend::create
/// [`destroy`]: Backend::destroy
/// [`inspect`]: Backend::inspect
/// [`subcontainers`]: Backend::subcontainers
/// [`wait_exit`]: Backend::wait_exit
/// [`usage`]: Backend::usage
pub trait Backend: Send + Sync + 'static {
    /// Builds and starts a container. Remains of an earlier life are removed first, its writable root
    /// is thrown away. The container outlives this process.
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Pending<'a, Result<Running, CreateError>>;

    /// What runs now. Adopting a container is inspecting it.
    fn inspect<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<Inspection, OpError>>;

    /// Resolves when the pid 1 of this life has ended; at once if it already has.
    fn wait_exit<'a>(
        &'a self,
        instance: &'a Segment,
        life: &'a Running,
    ) -> Pending<'a, Result<Exit, OpError>>;

    /// SIGTERM to pid 1, and after `grace` SIGKILL. Resolves when the container and its monitor are
    /// gone. (The orderly way, asking the agent to shut down, comes before this and is the caller's.)
    fn stop<'a>(
        &'a self,
        instance: &'a Segment,
        grace: Duration,
    ) -> Pending<'a, Result<(), OpError>>;

    /// SIGKILL to pid 1 and so to everything inside.
    fn kill<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>>;

    /// Kills what runs and removes every trace: mounts, loop devices, upper layers, cgroups, link.
    /// Volumes and logs stay.
    fn destroy<'a>(&'a self, instance: &'a Segment) -> Pending<'a, Result<(), OpError>>;

    /// Makes a writable root over an image at `/media/startos/subcontainers/<guid>` in a running
    /// container, with `/etc/hostname` and `/etc/hosts`. It vanishes with the container.
    fn create_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        image: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>>;

    /// Kills the pid 1 of that subcontainer, unmounts everything below its root and removes its
    /// layer. An unknown guid is fine.
    fn destroy_subcontainer_fs<'a>(
        &'a self,
        instance: &'a Segment,
        guid: &'a Segment,
    ) -> Pending<'a, Result<(), OpError>>;

    /// The subcontainers that have a layer on the host, whoever asked for them; none when no container
    /// runs. Whoever made one may have died before it could take it away.
    fn subcontainers<'a>(
        &'a self,
        instance: &'a Segment,
    ) -> Pending<'a, Result<Vec<Segment>, OpError>>;

    /// Mounts a host directory or file into a running container. Serves the `mount` effect and
    /// `bind-mount --idmap` alike: the caller turns a path below `/media/startos/volumes/<id>` into
    /// that volume's directory and a subpath. Id mappings are always computed flat, from the ids on
    /// disk, so nothing idmapped is ever idmapped again.
    fn mount_into<'a>(
        &'a self,
        instance: &'a Segment,
        mount: &'a VolumeMount,
    ) -> Pending<'a, Result<(), OpError>>;

    /// Changes the limits of a running container.
    fn set_limits<'a>(
        &'a self,
        instance: &'a Segment,
        limits: &'a Limits,
    ) -> Pending<'a, Result<(), OpError>>;

    /// What a container uses, or one leaf of it (`runtime-1`, `d-main-1`).
    fn usage<'a>(
        &'a self,
        instance: &'a Segment,
        leaf: Option<&'a Segment>,
    ) -> Pending<'a, Result<Usage, OpError>>;

    /// Finds and removes everything on this host that belongs to none of the `known` instances'
    /// running containers. Running containers of known instances are left alone.
    fn reconcile<'a>(&'a self, known: &'a [Segment]) -> Pending<'a, Receipt>;

    /// The host's files and folders that containers are made of, running ones and those that are being
    /// made: base images, layers, packages' images. These stay where they are.
    fn files_in_use(&self) -> Pending<'_, Result<Vec<PathBuf>, OpError>>;

    /// Tries what containers need of this host and cleans up after itself.
    fn preflight(&self) -> Pending<'_, Vec<Check>>;
}
