//! The volumes of a service as they were before its update.
//!
//! ```text
//!  take:      volumes ──clone──▶ snapshot.partial ──rename──▶ snapshot
//!  put back:  volumes are emptied; snapshot ──rename──▶ returning ──moved──▶ volumes
//! ```
//!
//! Invariants: a folder called `snapshot` is whole; putting back may be run twice and be cut anywhere, and needs
//! no room on the disk; the folders of volumes stay the same folders, since others may have mounted them.

use std::{
    ffi::OsString,
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use coppice_clone_tree::{Bounds, Progress, clone_tree, copy_attributes, links_of};
use coppice_remove_tree::remove_tree;

use super::super::Jobs;
use crate::{
    blocking::blocking,
    problem::{Kind, Problem},
};

/// What is left free is for the new version, whose migration may write its data a second time.
const BOUNDS: Bounds = Bounds {
    depth: 128,
    entries: 20_000_000,
    spare_bytes: 256 << 20,
};

struct Folders {
    service: PathBuf,
    volumes: PathBuf,
    partial: PathBuf,
    snapshot: PathBuf,
    returning: PathBuf,
}

impl Folders {
    fn of(jobs: &Jobs, id: &str) -> Self {
        Self::in_folder(&jobs.host.layout.data.join("services").join(id))
    }

    fn in_folder(service: &Path) -> Self {
        Self {
            service: service.to_owned(),
            volumes: service.join("volumes"),
            partial: service.join("snapshot.partial"),
            snapshot: service.join("snapshot"),
            returning: service.join("returning"),
        }
    }
}

/// Ends a copy whose job was killed: its thread goes on by itself.
struct EndsWithJob(Arc<AtomicBool>);

impl Drop for EndsWithJob {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Copies the volumes. `show` is told how far that is, and may end it.
///
/// # Errors
/// When there is no room, or something cannot be copied. No snapshot is there then.
pub(super) async fn take(
    jobs: &Jobs,
    id: &str,
    mut show: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
) -> Result<(), Problem> {
    let folders = Folders::of(jobs, id);
    // One at a time: two at once would be slower than one after the other. And whoever puts back waits until a
    // copy has ended whose job was killed.
    let turn = Arc::clone(&jobs.copying).lock_owned().await;
    let over = Arc::new(AtomicBool::new(false));
    let _ends = EndsWithJob(Arc::clone(&over));
    let name = id.to_owned();
    let taken = blocking(move || {
        let _turn = turn;
        let mut show = |progress| {
            if over.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            show(progress)
        };
        let taken = make(&folders, &mut show);
        if taken.is_err() {
            // What stays of it is removed by whoever puts back.
            let _ = remove_partial(&folders);
        }
        taken
    });
    let failed = |error: &dyn std::fmt::Display| {
        Problem::new(
            Kind::Filesystem,
            format!("the volumes of `{name}` were not copied: {error}"),
        )
    };
    match taken.await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}

fn make(
    folders: &Folders,
    show: &mut coppice_clone_tree::Show<'_>,
) -> Result<(), coppice_clone_tree::CloneError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| coppice_clone_tree::CloneError::Io { path, source }
    };
    remove_partial(folders).map_err(at(&folders.partial))?;
    // A package without volumes has no folder for them, until it notes a data version.
    fs::create_dir_all(&folders.volumes).map_err(at(&folders.volumes))?;
    let cloned = clone_tree(&folders.volumes, &folders.partial, &BOUNDS, show)?;
    tracing::info!(folder = %folders.volumes.display(), ?cloned, "volumes were copied");
    fs::rename(&folders.partial, &folders.snapshot).map_err(at(&folders.snapshot))?;
    sync(&folders.service).map_err(at(&folders.service))
}

fn remove_partial(folders: &Folders) -> io::Result<()> {
    remove_tree(&links_of(&folders.partial))?;
    remove_tree(&folders.partial)
}

/// Makes the volumes what they were when the snapshot was taken, if one was. May be run twice.
///
/// # Errors
/// When something cannot be removed or moved.
pub(super) async fn put_back(jobs: &Jobs, id: &str) -> Result<(), Problem> {
    settled(jobs, id, put_back_in).await
}

/// Removes the snapshot: the new version is kept. May be run twice.
///
/// # Errors
/// When something of it cannot be removed.
pub(super) async fn forget(jobs: &Jobs, id: &str) -> Result<(), Problem> {
    settled(jobs, id, |folders| {
        remove_tree(&folders.snapshot)?;
        remove_partial(folders)
    })
    .await
}

async fn settled(
    jobs: &Jobs,
    id: &str,
    work: fn(&Folders) -> io::Result<()>,
) -> Result<(), Problem> {
    let folders = Folders::of(jobs, id);
    let turn = Arc::clone(&jobs.copying).lock_owned().await;
    let service = folders.service.clone();
    let done = blocking(move || {
        let _turn = turn;
        work(&folders)
    });
    let done = done.await.map_err(io::Error::other).flatten();
    done.map_err(|error| {
        Problem::new(
            Kind::Filesystem,
            format!("could not put `{}` in order: {error}", service.display()),
        )
    })
}

fn put_back_in(folders: &Folders) -> io::Result<()> {
    if folders.snapshot.exists() {
        for name in names(&folders.volumes)? {
            let volume = folders.volumes.join(&name);
            if is_folder(&volume) && is_folder(&folders.snapshot.join(&name)) {
                for inside in names(&volume)? {
                    remove_tree(&volume.join(inside))?;
                }
            } else {
                remove_tree(&volume)?;
            }
        }
        // From here on nothing more is removed: what is in the volumes is what came back.
        fs::rename(&folders.snapshot, &folders.returning)?;
        sync(&folders.service)?;
    }
    if folders.returning.exists() {
        for name in names(&folders.returning)? {
            let (copy, volume) = (folders.returning.join(&name), folders.volumes.join(&name));
            if !is_folder(&copy) || !is_folder(&volume) {
                fs::rename(&copy, &volume)?;
                continue;
            }
            for inside in names(&copy)? {
                fs::rename(copy.join(&inside), volume.join(&inside))?;
            }
            copy_attributes(&copy, &volume)?;
            fs::remove_dir(&copy)?;
        }
        sync(&folders.service)?;
        fs::remove_dir(&folders.returning)?;
    }
    remove_partial(folders)
}

fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn sync(folder: &Path) -> io::Result<()> {
    nix::unistd::syncfs(fs::File::open(folder)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::testing::files;

    /// A service whose snapshot was taken, and which a failed version has worked on since.
    fn spoilt() -> (tempfile::TempDir, Folders, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::in_folder(folder.path());
        for volume in ["main", "other"] {
            fs::create_dir_all(folders.volumes.join(volume).join("sub")).unwrap();
            fs::write(folders.volumes.join(volume).join("sub/data"), "old").unwrap();
        }
        fs::write(folders.volumes.join("main/kept"), "old").unwrap();
        fs::write(folders.volumes.join(".version"), "1:0").unwrap();
        let before = files(&folders.volumes);
        make(&folders, &mut |_| ControlFlow::Continue(())).unwrap();
        fs::write(folders.volumes.join(".version"), "2:0").unwrap();
        fs::write(folders.volumes.join("main/sub/data"), "new").unwrap();
        fs::write(folders.volumes.join("main/more"), "new").unwrap();
        fs::remove_file(folders.volumes.join("main/kept")).unwrap();
        fs::remove_dir_all(folders.volumes.join("other")).unwrap();
        fs::create_dir(folders.volumes.join("third")).unwrap();
        let lax = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folders.volumes.join("main"), lax).unwrap();
        (folder, folders, before)
    }

    fn is_as_before(folders: &Folders, before: &[String]) {
        assert_eq!(files(&folders.volumes), before);
        for (file, held) in [
            (".version", "1:0"),
            ("main/sub/data", "old"),
            ("main/kept", "old"),
        ] {
            assert_eq!(
                fs::read_to_string(folders.volumes.join(file)).unwrap(),
                held
            );
        }
        let mode = fs::metadata(folders.volumes.join("main")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o755);
        let left = names(&folders.service).unwrap();
        assert_eq!(left, ["volumes"], "nothing else is left");
    }

    #[test]
    fn volumes_are_put_back_whole_in_the_folders_that_others_may_have_mounted() {
        let (_folder, folders, before) = spoilt();
        let main = fs::metadata(folders.volumes.join("main")).unwrap().ino();
        put_back_in(&folders).unwrap();
        is_as_before(&folders, &before);
        assert_eq!(
            fs::metadata(folders.volumes.join("main")).unwrap().ino(),
            main
        );
        put_back_in(&folders).unwrap();
        is_as_before(&folders, &before);
    }

    #[test]
    fn putting_back_that_was_cut_goes_on_where_it_was() {
        // Something was removed already.
        let (_folder, folders, before) = spoilt();
        fs::remove_file(folders.volumes.join("main/more")).unwrap();
        put_back_in(&folders).unwrap();
        is_as_before(&folders, &before);
        // Something came back already.
        let (_folder, folders, before) = spoilt();
        put_back_half(&folders);
        put_back_in(&folders).unwrap();
        is_as_before(&folders, &before);
    }

    /// As far as the first file that came back.
    fn put_back_half(folders: &Folders) {
        for name in [".version", "main/sub", "main/more", "third"] {
            remove_tree(&folders.volumes.join(name)).unwrap();
        }
        fs::rename(&folders.snapshot, &folders.returning).unwrap();
        let kept = "main/kept";
        fs::rename(folders.returning.join(kept), folders.volumes.join(kept)).unwrap();
    }

    #[test]
    fn without_a_whole_snapshot_the_volumes_stay_as_they_are() {
        let (_folder, folders, _) = spoilt();
        fs::rename(&folders.snapshot, &folders.partial).unwrap();
        let now = files(&folders.volumes);
        put_back_in(&folders).unwrap();
        assert_eq!(files(&folders.volumes), now);
        assert!(!folders.partial.exists());
    }
}
