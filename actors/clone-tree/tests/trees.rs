//! Whether a copy is the tree, on the file systems that servers have. Needs root, `mkfs.btrfs` and `mkfs.xfs`.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    ops::ControlFlow,
    os::unix::fs::{FileExt as _, MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use coppice_clone_tree::{Bounds, CloneError, Cloned, Progress, clone_tree, copy_attributes};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{stat::Mode, stat::utimes, time::TimeVal},
    unistd::mkfifo,
};

const BOUNDS: Bounds = Bounds {
    depth: 32,
    entries: 1000,
    spare_bytes: 0,
};

fn copied(from: &Path, to: &Path) -> Result<Cloned, CloneError> {
    clone_tree(from, to, &BOUNDS, &mut |_| ControlFlow::Continue(()))
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
}

/// Does `work` in a folder on a file system of its own, which is gone with the thread that sees it.
fn on<T: Send>(kind: &str, work: impl FnOnce(&Path) -> T + Send) -> T {
    let folder = tempfile::tempdir().unwrap();
    let (image, at) = (folder.path().join("image"), folder.path().join("disk"));
    fs::create_dir(&at).unwrap();
    thread::scope(|scope| {
        let alone = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            let (from, to) = (image.to_str().unwrap(), at.to_str().unwrap());
            if kind == "tmpfs" {
                run("mount", &["-t", kind, "-o", "size=16m", "none", to]);
            } else {
                // Holes: only what is written takes room.
                File::create(&image).unwrap().set_len(512 << 20).unwrap();
                run(&format!("mkfs.{kind}"), &["-q", from]);
                run("mount", &["-o", "loop", from, to]);
            }
            work(&at)
        });
        alone.join().unwrap()
    })
}

/// A tree with one of everything that a container may leave in a volume.
fn plant(at: &Path) {
    fs::create_dir_all(at.join("data/deep/er")).unwrap();
    fs::write(at.join("data/book"), vec![7; 3 << 20]).unwrap();
    fs::write(at.join("data/empty"), "").unwrap();
    fs::write(at.join(".version"), "1.0:0").unwrap();
    let sparse = File::create(at.join("data/sparse")).unwrap();
    sparse.write_all_at(b"end", 64 << 20).unwrap();
    fs::hard_link(at.join("data/book"), at.join("data/deep/same book")).unwrap();
    symlink("/etc/passwd", at.join("data/away")).unwrap();
    mkfifo(&at.join("data/pipe"), Mode::from_bits_truncate(0o622)).unwrap();
    chown(at.join("data/book"), Some(70_001), Some(70_002)).unwrap();
    lchown(at.join("data/away"), Some(70_003), Some(70_003)).unwrap();
    chown(at.join("data/deep"), Some(70_004), Some(70_004)).unwrap();
    fs::set_permissions(at.join("data/book"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(at.join("data/deep"), fs::Permissions::from_mode(0o2770)).unwrap();
    let long_ago = TimeVal::new(1_000_000_000, 0);
    for old in ["data/book", "data/deep"] {
        utimes(&at.join(old), &long_ago, &long_ago).unwrap();
    }
}

/// What can be told of each name in a tree, in the order of names.
fn told(at: &Path) -> Vec<String> {
    let mut told = Vec::new();
    let mut ahead = vec![at.to_owned()];
    while let Some(path) = ahead.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let inside = if kind.is_file() {
            let sum = fs::read(&path).unwrap();
            let sum = sum
                .iter()
                .fold(0_u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte));
            format!("{} bytes, {sum}", meta.len())
        } else if kind.is_symlink() {
            format!("to {}", fs::read_link(&path).unwrap().display())
        } else {
            if kind.is_dir() {
                ahead.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            String::new()
        };
        told.push(format!(
            "{} {:o} {}:{} {} {inside}",
            path.strip_prefix(at).unwrap().display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            // The folder itself gets what is in it; a link's own time is kept, too.
            if path == at { 0 } else { meta.mtime() },
        ));
    }
    told.sort();
    told
}

fn is_the_same_tree(disk: &Path) -> Cloned {
    let (from, to) = (disk.join("from"), disk.join("to"));
    fs::create_dir(&from).unwrap();
    plant(&from);
    let cloned = copied(&from, &to).unwrap();
    assert_eq!(told(&to), told(&from));
    let one = fs::metadata(to.join("data/book")).unwrap();
    let other = fs::metadata(to.join("data/deep/same book")).unwrap();
    assert_eq!(one.ino(), other.ino(), "one file with two names");
    let left: Vec<PathBuf> = fs::read_dir(disk)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    let beside = |path: &&PathBuf| path.to_string_lossy().contains("to.");
    assert_eq!(left.iter().find(beside), None);
    // What is done to the one is not done to the other.
    fs::write(from.join("data/book"), "burnt").unwrap();
    assert_eq!(one.len(), fs::metadata(to.join("data/book")).unwrap().len());
    cloned
}

#[test]
fn a_copy_on_btrfs_shares_every_byte() {
    let cloned = on("btrfs", is_the_same_tree);
    assert_eq!(cloned.shared_bytes, cloned.bytes);
    assert!(cloned.bytes > 64 << 20);
}

#[test]
fn a_copy_on_xfs_shares_every_byte() {
    let cloned = on("xfs", is_the_same_tree);
    assert_eq!(cloned.shared_bytes, cloned.bytes);
}

#[test]
fn a_copy_on_ext4_is_whole_and_keeps_the_holes() {
    on("ext4", |disk| {
        let cloned = is_the_same_tree(disk);
        assert_eq!(cloned.shared_bytes, 0);
        let sparse = fs::metadata(disk.join("to/data/sparse")).unwrap();
        assert!(
            sparse.blocks() * 512 < 1 << 20,
            "{} blocks",
            sparse.blocks()
        );
    });
}

#[test]
fn a_shared_copy_of_much_takes_no_room_and_no_time_of_copying() {
    on("btrfs", |disk| {
        let from = disk.join("from");
        fs::create_dir(&from).unwrap();
        // More than the disk could hold twice.
        let piece = vec![3; 1 << 20];
        let file = File::create(from.join("database")).unwrap();
        for at in 0..300 {
            file.write_all_at(&piece, at << 20).unwrap();
        }
        let cloned = copied(&from, &disk.join("to")).unwrap();
        assert_eq!(cloned.shared_bytes, 300 << 20);
    });
}

#[test]
fn without_room_for_all_of_it_nothing_is_copied_and_the_answer_says_how_much_it_takes() {
    on("tmpfs", |disk| {
        let from = disk.join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("database"), vec![1; 9 << 20]).unwrap();
        let refused = copied(&from, &disk.join("to")).unwrap_err();
        assert!(
            matches!(refused, CloneError::NoRoom { needed_mib: 9, .. }),
            "{refused}"
        );
        assert_eq!(fs::read_dir(disk.join("to")).unwrap().count(), 0);
        fs::remove_dir(disk.join("to")).unwrap();
        // What must stay free counts as taken.
        fs::write(from.join("database"), vec![1; 5 << 20]).unwrap();
        let bounds = Bounds {
            spare_bytes: 8 << 20,
            ..BOUNDS
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        let refused = clone_tree(&from, &disk.join("to"), &bounds, go_on).unwrap_err();
        assert!(refused.to_string().contains("free some space"), "{refused}");
    });
}

#[test]
fn a_tree_that_is_too_deep_or_has_too_many_files_is_refused_before_anything_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    let deep = (0..40).fold(from.clone(), |at, _| at.join("d"));
    fs::create_dir_all(&deep).unwrap();
    let refused = copied(&from, &folder.path().join("to")).unwrap_err();
    assert!(
        matches!(refused, CloneError::TooDeep { most: 32, .. }),
        "{refused}"
    );
    let wide = folder.path().join("wide");
    fs::create_dir(&wide).unwrap();
    for number in 0..1001 {
        File::create(wide.join(number.to_string())).unwrap();
    }
    let refused = copied(&wide, &folder.path().join("to")).unwrap_err();
    assert!(
        matches!(refused, CloneError::TooMany { most: 1000 }),
        "{refused}"
    );
    assert!(!folder.path().join("to").exists());
}

#[test]
fn progress_grows_to_its_total_and_can_end_the_copy() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    fs::create_dir(&from).unwrap();
    for name in ["a", "b"] {
        fs::write(from.join(name), vec![1; 3 << 20]).unwrap();
    }
    let mut seen = Vec::new();
    let mut note = |progress: Progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    };
    clone_tree(&from, &folder.path().join("to"), &BOUNDS, &mut note).unwrap();
    assert!(seen.is_sorted_by_key(|progress| progress.done));
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (6 << 20, 6 << 20));
    let mut end = |progress: Progress| match progress.done {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let ended = clone_tree(&from, &folder.path().join("other"), &BOUNDS, &mut end);
    assert!(matches!(ended, Err(CloneError::Stopped)), "{ended:?}");
}

#[test]
fn attributes_of_a_folder_are_given_back_without_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    for at in [&from, &to] {
        fs::create_dir(at).unwrap();
    }
    fs::write(to.join("inside"), "stays").unwrap();
    chown(&from, Some(70_001), Some(70_001)).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o700)).unwrap();
    copy_attributes(&from, &to).unwrap();
    let meta = fs::metadata(&to).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (70_001, 0o700));
    assert_eq!(fs::read_to_string(to.join("inside")).unwrap(), "stays");
}
