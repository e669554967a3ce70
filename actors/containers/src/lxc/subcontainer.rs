//! Mounts that come into a running container: subcontainers' roots and volumes. Everything here blocks.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use coppice_remove_tree::remove_tree;
use nix::sys::stat::{SFlag, fstat};

use crate::{
    FileKind, Inspection, OpError, Running, Segment, VolumeMount,
    cgroup::{self, Hierarchies},
    error::{Doing, StepError},
    idmap::FlatMap,
    lxc::{
        enter::{Inside, Kind},
        host::{Host, on_own_thread},
        images, lifecycle,
        record::Record,
        root,
    },
    sys::{
        confined::Confined,
        mount::{Detached, NODEV, RDONLY},
        mountinfo,
        pidfd::PidFd,
        userns,
    },
};

/// What is brought in waits here, on a stage.
const BROUGHT: &str = "brought";

fn path_of(guid: &Segment) -> PathBuf {
    Path::new("/media/startos/subcontainers").join(guid)
}

fn running(host: &Host, instance: &Segment) -> Result<(Record, Running), OpError> {
    let not_running = || OpError::NotRunning {
        instance: instance.clone(),
    };
    let Inspection::Running(life) = lifecycle::inspect(host, instance)? else {
        return Err(not_running());
    };
    let record = Record::load(&host.layout, instance).ok_or_else(not_running)?;
    Ok((record, life))
}

/// Makes a subcontainer's root and mounts it.
pub(crate) fn create_fs(
    host: &Host,
    instance: &Segment,
    image: &Segment,
    guid: &Segment,
) -> Result<(), OpError> {
    let (record, life) = running(host, instance)?;
    let image = record
        .spec
        .images
        .iter()
        .find(|known| known.id == *image)
        .ok_or_else(|| OpError::UnknownImage {
            instance: instance.clone(),
            image: image.clone(),
        })?;
    if guids_mounted(&life)
        .doing("read the container's mounts")?
        .contains(guid.as_str())
    {
        return Ok(());
    }
    let dir = host.layout.sub_dir(instance).join(guid);
    remove_tree(&dir).doing(format!("remove {}", dir.display()))?;
    root::make_upper(&dir, record.spec.id_base)?;
    let made = mount_fs(host, &record, &life, &image.file, &dir, guid);
    if made.is_err()
        && let Err(error) = remove_tree(&dir)
    {
        tracing::warn!(%error, dir = %dir.display(), "left to reconciliation");
    }
    made
}

fn mount_fs(
    host: &Host,
    record: &Record,
    life: &Running,
    file: &Path,
    dir: &Path,
    guid: &Segment,
) -> Result<(), OpError> {
    let layout = &host.layout;
    let spec = &record.spec;
    let inside = Inside::of(life)?.ok_or_else(|| OpError::NotRunning {
        instance: spec.instance.clone(),
    })?;
    let key = &record.images[file];
    images::ensure(layout, &images::lock(layout)?, file, key)?;
    let idmap = host.range(spec.id_base)?;
    on_own_thread("subcontainer", || {
        let stage = root::make_stage(layout)?;
        let doing = format!("make the root of subcontainer {guid}");
        root::stage_layer(&stage, "image", &images::target(layout, key), idmap.as_fd())
            .and_then(|()| root::overlay(&stage, &["image"], dir))
            .and_then(|overlay| stand_by(&stage, &overlay, true))
            .doing(&doing)?;
        Confined::open(&stage.join(BROUGHT), spec.id_base)
            .and_then(|root| root::write_names(&root, &spec.hostname))
            .doing(format!(
                "write /etc of subcontainer {guid}; is its image's /etc a directory?"
            ))?;
        inside.bring(BROUGHT, &path_of(guid), Kind::Directory)
    })?;
    Ok(())
}

/// Attaches a mount on the stage, which becomes the thread's working directory.
fn stand_by(stage: &Path, mount: &Detached, directory: bool) -> io::Result<()> {
    let at = stage.join(BROUGHT);
    if directory {
        fs::create_dir(&at)?;
    } else {
        fs::write(&at, b"")?;
    }
    mount.attach_at(&at)?;
    // The thread left the process's shared working directory when it made its mount namespace.
    std::env::set_current_dir(stage)
}

/// Kills a subcontainer's pid 1, unmounts its root and removes its layer.
pub(crate) fn destroy_fs(host: &Host, instance: &Segment, guid: &Segment) -> Result<(), OpError> {
    if let Inspection::Running(life) = lifecycle::inspect(host, instance)?
        && let Some(inside) = Inside::of(&life)?
    {
        kill_leader(host, instance, &life, &inside, guid)?;
        on_own_thread("subcontainer", || inside.take_away(&path_of(guid)))?;
    }
    let dir = host.layout.sub_dir(instance).join(guid);
    remove_tree(&dir).doing(format!("remove {}", dir.display()))?;
    Ok(())
}

/// Finds the pid 1 that the proc mounted in the subcontainer's root shows, and kills it and so its whole
/// pid namespace.
///
/// What the container shows there may be a lie: the pid is looked for among the container's own
/// processes only, and never is the container's pid 1.
fn kill_leader(
    host: &Host,
    instance: &Segment,
    life: &Running,
    inside: &Inside,
    guid: &Segment,
) -> Result<(), StepError> {
    let namespace = match inside.pid_namespace(&path_of(guid)) {
        Ok(Some(number)) => PathBuf::from(format!("pid:[{number}]")),
        Ok(None) => return Ok(()),
        // A container that hides the leader keeps it; its root is taken away all the same.
        Err(error) => {
            tracing::warn!(%instance, %guid, %error, cause = %error.source, "its leader was not looked for");
            return Ok(());
        }
    };
    let shown = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    if shown(life.init_pid).is_ok_and(|own| own == namespace) {
        return Ok(());
    }
    let hierarchies = Hierarchies::detect()?;
    for pid in cgroup::members(&hierarchies, &host.layout.cgroup(instance)) {
        let Ok(process) = PidFd::open(pid) else {
            continue;
        };
        // Looked at after opening, so that the descriptor is of the process looked at.
        if shown(pid).is_ok_and(|link| link == namespace) && is_pid_1(pid) {
            lifecycle::kill_and_wait(&process)
                .doing(format!("kill pid 1 of subcontainer {guid}"))?;
        }
    }
    Ok(())
}

fn is_pid_1(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let innermost = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .and_then(|pids| pids.split_whitespace().last());
    innermost == Some("1")
}

/// The subcontainers that have a layer. What the container shows as mounted is not asked: there it may
/// show as many as it likes.
pub(crate) fn list(host: &Host, instance: &Segment) -> Result<Vec<Segment>, StepError> {
    let dir = host.layout.sub_dir(instance);
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(format!("read {}", dir.display()))?,
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names
        .filter_map(|name| Segment::new(name.to_str()?).ok())
        .collect())
}

/// Guids of the subcontainers whose roots are mounted in a running container.
pub(crate) fn guids_mounted(life: &Running) -> io::Result<BTreeSet<String>> {
    let mounts = mountinfo::of_process(life.init_pid)?;
    Ok(mounts
        .iter()
        .filter_map(|mount| {
            mount
                .target
                .strip_prefix("/media/startos/subcontainers")
                .ok()
        })
        .filter_map(|below| {
            below
                .components()
                .next()?
                .as_os_str()
                .to_str()
                .map(str::to_owned)
        })
        .collect())
}

/// Mounts a host directory or file into a running container.
pub(crate) fn mount_into(
    host: &Host,
    instance: &Segment,
    wanted: &VolumeMount,
) -> Result<(), OpError> {
    wanted.check()?;
    let (record, life) = running(host, instance)?;
    let inside = Inside::of(&life)?.ok_or_else(|| OpError::NotRunning {
        instance: instance.clone(),
    })?;
    let (source, kind) = open_source(wanted)?;
    let id_base = record.spec.id_base;
    let idmap = if wanted.idmap.is_empty() {
        host.range(id_base)?
    } else {
        let map = FlatMap::with(id_base, &wanted.idmap)?;
        Arc::new(userns::with_map(&map).doing("make a user namespace for the id mappings")?)
    };
    let flags = NODEV | if wanted.readonly { RDONLY } else { 0 };
    on_own_thread("mount", || {
        let shown = wanted
            .source
            .join(wanted.subpath.strip_prefix("/").unwrap_or(&wanted.subpath));
        let clone = Detached::clone_of_fd(source.as_fd())
            .and_then(|clone| clone.change(flags, 0, Some(idmap.as_fd())).map(|()| clone))
            .doing(format!("map the ids of {}", shown.display()))?;
        let stage = root::make_stage(&host.layout)?;
        stand_by(&stage, &clone, kind == Kind::Directory).doing("stage the mount")?;
        inside.bring(BROUGHT, &wanted.target, kind)
    })?;
    Ok(())
}

/// Opens what is to be mounted, and makes it where it may be made. Below the source everything is a
/// container's work: links lead nowhere else. New entries belong to container id 0, as stored.
fn open_source(wanted: &VolumeMount) -> Result<(OwnedFd, Kind), OpError> {
    let shown = wanted
        .source
        .join(wanted.subpath.strip_prefix("/").unwrap_or(&wanted.subpath));
    let doing = format!("open {}", shown.display());
    let tree = Confined::open(&wanted.source, 0).doing(&doing)?;
    let found = match (tree.at(&wanted.subpath), wanted.readonly) {
        (Err(error), false) if error.kind() == io::ErrorKind::NotFound => match wanted.kind {
            FileKind::File => tree.make_file(&wanted.subpath),
            FileKind::Directory | FileKind::Infer => tree.make_dirs(&wanted.subpath),
        },
        (found, _) => found,
    };
    let found = found.doing(&doing)?;
    let unusable = |reason: &str| OpError::UnusablePath {
        path: shown.clone(),
        reason: reason.to_owned(),
    };
    let mode = fstat(&found).doing(&doing)?.st_mode;
    match (
        SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()),
        wanted.kind,
    ) {
        (SFlag::S_IFDIR, FileKind::File) => Err(unusable("it is a directory, not a file")),
        (SFlag::S_IFDIR, _) => Ok((found, Kind::Directory)),
        (SFlag::S_IFREG, FileKind::Directory) => Err(unusable("it is a file, not a directory")),
        (SFlag::S_IFREG, _) => Ok((found, Kind::File)),
        _ => Err(unusable("it is neither a directory nor a regular file")),
    }
}
