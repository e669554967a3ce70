//! Damage, full disks and kills: what goes wrong is said, and nothing of it stays.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use coppice_s9pk::{ArchiveError, Content, Digest, Draft, Header, Store, StoreError};
use tempfile::TempDir;

use super::{Bench, expected, go_on, hello, large, names};
use crate::package::{TestPackage, key, pack};

#[test]
fn an_altered_package_is_refused_and_leaves_nothing() {
    let original = hello().pack();
    for (name, at) in [
        ("header", 40),
        ("table", 200),
        ("last body", original.len() - 1),
        ("a body in the middle", original.len() / 2),
    ] {
        let mut bytes = original.clone();
        bytes[at] ^= 1;
        for stream in [false, true] {
            let bench = Bench::new();
            let result = if stream {
                bench.ingest_stream(&bytes)
            } else {
                bench.ingest_file(&bytes)
            };
            let error = result.unwrap_err();
            assert!(matches!(error.code(), 18 | 31), "{name}: {error}");
            assert_eq!(bench.names(), BTreeSet::new(), "{name}");
        }
    }
}

#[test]
fn an_altered_package_is_refused_even_when_the_store_has_its_bodies() {
    let bench = Bench::new();
    let mut bytes = hello().pack();
    bench.ingest_file(&bytes).unwrap();
    let before = bench.names();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = bench.ingest_file(&bytes).unwrap_err();
    assert!(
        matches!(error, StoreError::Archive(ArchiveError::BodyHash { .. })),
        "{error}"
    );
    assert_eq!(bench.names(), before);
}

#[test]
fn truncated_packages_are_refused_and_leave_nothing() {
    let bytes = hello().pack();
    for length in [0, 100, 155, 400, bytes.len() / 2, bytes.len() - 1] {
        let bench = Bench::new();
        let error = bench.ingest_file(&bytes[..length]).unwrap_err();
        assert_eq!(error.code(), 18, "{length}: {error}");
        let stream = bench.ingest_stream(&bytes[..length]).unwrap_err();
        assert_eq!(stream.code(), 18, "{length}: {stream}");

        // The sender announced all of it, and then hung up.
        let announced = Some(bytes.len() as u64);
        let cut = bench
            .store
            .ingest_stream(&mut &bytes[..length], announced, &expected(), &mut go_on)
            .unwrap_err();
        assert_eq!(cut.code(), 18, "{length}: {cut}");
        // Nobody announced anything.
        let silent =
            bench
                .store
                .ingest_stream(&mut &bytes[..length], None, &expected(), &mut go_on);
        assert!(silent.is_err());
        assert_eq!(bench.names(), BTreeSet::new());
    }
}

#[test]
fn a_stream_of_another_length_than_announced_is_refused() {
    let bytes = [hello().pack(), vec![0; 5]].concat();
    let bench = Bench::new();
    let announced = Some(bytes.len() as u64 - 5);
    let error = bench
        .store
        .ingest_stream(&mut &bytes[..], announced, &expected(), &mut go_on)
        .unwrap_err();
    assert!(matches!(error, StoreError::Length { .. }), "{error}");
}

#[test]
fn a_start_removes_what_a_crash_left_and_keeps_the_rest() {
    let bench = Bench::new();
    let installed = bench.ingest_file(&hello().pack()).unwrap();
    let before = bench.names();
    let folder = bench.folder.path().join("store");
    // Crashed while copying; after bodies got their names, before the recipe got its own.
    fs::write(folder.join(format!("{}.7.partial", Digest::of(b"x"))), "x").unwrap();
    fs::write(
        folder.join(format!("{}.toc.8.partial", Digest::of(b"y"))),
        "y",
    )
    .unwrap();
    fs::write(folder.join(Digest::of(b"orphan").to_string()), "orphan").unwrap();
    let store = Store::open(&folder).unwrap();
    assert_eq!(bench.names(), before);
    store
        .archive(&installed.root)
        .unwrap()
        .verify_all()
        .unwrap();
}

#[test]
fn a_damaged_recipe_is_said_so_and_costs_no_other_package_its_bodies() {
    let bench = Bench::new();
    let one = bench.ingest_file(&hello().pack()).unwrap();
    let two = bench
        .ingest_file(&TestPackage::new("other", "1.0:0").pack())
        .unwrap();
    let folder = bench.folder.path().join("store");
    let recipe = folder.join(format!("{}.toc", one.root));
    let mut bytes = fs::read(&recipe).unwrap();
    bytes[20] ^= 1;
    fs::remove_file(&recipe).unwrap();
    fs::write(&recipe, bytes).unwrap();

    let store = Store::open(&folder).unwrap();
    let error = store.archive(&one.root).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(error.code(), 25);
    store.archive(&two.root).unwrap().verify_all().unwrap();
    // Its bodies are still there, so installing it again is enough.
    bench.ingest_file(&hello().pack()).unwrap();
    store.archive(&one.root).unwrap().verify_all().unwrap();
}

#[test]
fn a_rotten_body_is_noticed_when_the_package_is_put_together() {
    let bench = Bench::new();
    let installed = bench.ingest_file(&hello().pack()).unwrap();
    let body = bench
        .store
        .path_of(&installed.entries["javascript.squashfs"].hash);
    let mut bytes = fs::read(&body).unwrap();
    bytes[7] ^= 1;
    fs::remove_file(&body).unwrap();
    fs::write(&body, bytes).unwrap();
    let error = bench
        .store
        .reassemble(&installed.root, &mut io::sink())
        .unwrap_err();
    assert!(matches!(error, StoreError::DamagedBody { .. }), "{error}");
    assert!(
        bench
            .store
            .archive(&installed.root)
            .unwrap()
            .verify_all()
            .is_err()
    );
}

#[test]
fn many_intakes_and_removals_at_once_lose_nothing() {
    let bench = Bench::new();
    let packages: Vec<_> = (0..4)
        .map(|i| TestPackage::new(&format!("p{i}"), "1.0:0").pack())
        .collect();
    std::thread::scope(|scope| {
        for bytes in &packages {
            let store = &bench.store;
            scope.spawn(move || {
                for round in 0..5 {
                    let installed = store
                        .ingest_stream(&mut &bytes[..], None, &expected(), &mut go_on)
                        .unwrap();
                    store
                        .archive(&installed.root)
                        .unwrap()
                        .verify_all()
                        .unwrap();
                    if round < 4 {
                        store.remove(&installed.root).unwrap();
                    }
                }
            });
        }
    });
    let roots = bench.store.list().unwrap();
    assert_eq!(roots.len(), 4);
    for root in roots {
        bench.store.archive(&root).unwrap().verify_all().unwrap();
        bench.store.remove(&root).unwrap();
    }
    assert_eq!(bench.names(), BTreeSet::new());
}

#[test]
fn no_size_is_believed_before_the_file_holds_it() {
    // A file of 16 exabytes, says the table.
    let mut draft = Draft::new();
    draft.insert("a", Content::Bytes(vec![1])).unwrap();
    let bytes = pack(draft);
    let mut table = bytes[155..].to_vec();
    table.pop();
    let size_at = 1 + 2 + 32;
    table[size_at..size_at + 8].copy_from_slice(&(u64::MAX - 300).to_be_bytes());
    let mut canonical = table[..size_at + 8].to_vec();
    canonical.push(0);
    let promise = coppice_s9pk::Commitment {
        root_sighash: Digest::of(&canonical),
        root_maxsize: 1000,
    };
    let mut file = Header::sign(promise, &key())
        .to_bytes(155, table.len() as u64)
        .to_vec();
    file.extend(table);
    file.push(1);
    let bench = Bench::new();
    for error in [
        bench.ingest_file(&file).unwrap_err(),
        bench.ingest_stream(&file).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::Archive(ArchiveError::BehindEnd { .. })),
            "{error}"
        );
    }
}

/// Lets `strace` kill a child of this test program at the n-th call of `syscall`, for every n until
/// the child ends by itself, and calls `check` after each. The child runs `act`.
fn killed_at_every(
    name: &str,
    syscalls: &[&str],
    prepare: fn(&Path),
    act: fn(&Path),
    check: fn(&Path),
) {
    const FOLDER: &str = "COPPICE_TEST_KILLED_IN";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return act(Path::new(&folder));
    }
    for syscall in syscalls {
        let mut kills = 0;
        loop {
            let folder = TempDir::new().unwrap();
            prepare(folder.path());
            let inject = format!("--inject={syscall}:signal=SIGKILL:when={}", kills + 1);
            let output = std::process::Command::new("strace")
                .args([
                    "-f",
                    "-o",
                    "/dev/null",
                    &format!("--trace={syscall}"),
                    &inject,
                ])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name])
                .env(FOLDER, folder.path())
                .output()
                .expect("this test needs strace");
            check(folder.path());
            if output.status.success() {
                break;
            }
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code().is_none(), "the child failed: {err}");
            kills += 1;
        }
        assert!(kills > 0, "{syscall} is never called");
    }
}

fn store_in(folder: &Path) -> Store {
    Store::open(folder.join("store")).unwrap()
}

/// Whatever is listed is whole, and nothing else is there.
fn whole_packages(folder: &Path) -> usize {
    let store = store_in(folder);
    let roots = store.list().unwrap();
    for root in &roots {
        store.archive(root).unwrap().verify_all().unwrap();
        store.installed(root, &expected().arch).unwrap();
    }
    let count = roots.len();
    for root in roots {
        store.remove(&root).unwrap();
    }
    assert_eq!(names(&folder.join("store")), BTreeSet::new());
    count
}

/// Few bodies, so that there are few steps, and one that is large enough to have room reserved.
fn ingest_hello(folder: &Path) {
    let mut package = hello();
    package.files = [
        "icon.png",
        "LICENSE.md",
        "images/x86_64/main.json",
        "images/x86_64/main.env",
    ]
    .map(|path| (path.to_owned(), b"x".to_vec()))
    .into();
    let bytes = package
        .with("javascript.squashfs", "code")
        .with("images/x86_64/main.squashfs", large())
        .pack();
    let mut bytes = &bytes[..];
    store_in(folder)
        .ingest_stream(&mut bytes, None, &expected(), &mut go_on)
        .unwrap();
}

#[test]
fn an_intake_killed_before_any_step_leaves_the_package_whole_or_absent() {
    killed_at_every(
        "store::faults::an_intake_killed_before_any_step_leaves_the_package_whole_or_absent",
        &["rename", "fdatasync", "fsync", "fallocate"],
        |_| (),
        ingest_hello,
        |folder| assert!(whole_packages(folder) <= 1),
    );
}

#[test]
fn a_removal_killed_before_any_step_leaves_the_other_package_whole() {
    killed_at_every(
        "store::faults::a_removal_killed_before_any_step_leaves_the_other_package_whole",
        &["unlink", "fsync"],
        |folder| {
            let other = TestPackage::new("other", "1.0:0").pack();
            let mut other = &other[..];
            store_in(folder)
                .ingest_stream(&mut other, None, &expected(), &mut go_on)
                .unwrap();
            ingest_hello(folder);
        },
        |folder| {
            let store = store_in(folder);
            let arch = expected().arch;
            for root in store.list().unwrap() {
                if store.installed(&root, &arch).unwrap().manifest.id == "hello" {
                    store.remove(&root).unwrap();
                }
            }
        },
        |folder| {
            let left = whole_packages(folder);
            assert!(matches!(left, 1 | 2), "{left} packages are left");
        },
    );
}

/// Runs `test` in a child of its own mount namespace with a tmpfs of `size` bytes as store.
///
/// The child is this test program with only `name` selected, so that the threads of other tests are
/// not in the namespace; the mount vanishes with it.
fn in_small_file_system(name: &str, size: &str, test: fn(&Path)) {
    const FOLDER: &str = "COPPICE_TEST_TMPFS";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return test(Path::new(&folder));
    }
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("{name}: needs root to mount a tmpfs, skipped");
        return;
    }
    let folder = TempDir::new().unwrap();
    let script = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && exec "$3" --exact "$4" --nocapture"#;
    let output = std::process::Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            size,
        ])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}\n{err}"
    );
}

#[test]
fn a_full_disk_is_said_so_and_left_as_it_was() {
    in_small_file_system(
        "store::faults::a_full_disk_is_said_so_and_left_as_it_was",
        "2m",
        |folder| {
            let store = Store::open(folder.join("store")).unwrap();
            let small = hello().pack();
            let kept = store
                .ingest_stream(&mut &small[..], None, &expected(), &mut go_on)
                .unwrap();
            let before = names(&folder.join("store"));

            let big = TestPackage::new("big", "1.0:0")
                .with("z.bin", large())
                .pack();
            let dir = TempDir::new_in("/var/tmp").unwrap();
            let path = dir.path().join("big.s9pk");
            fs::write(&path, &big).unwrap();
            let file = File::open(path).unwrap();
            let from_file = store
                .ingest_file(&file, &expected(), &mut go_on)
                .unwrap_err();
            // A stream of unknown length meets the end of the disk while writing.
            let stream = store
                .ingest_stream(&mut &big[..], None, &expected(), &mut go_on)
                .unwrap_err();
            for error in [from_file, stream] {
                assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
                assert!(error.to_string().contains("are free"), "{error}");
                assert_eq!(error.code(), 2);
            }
            assert_eq!(names(&folder.join("store")), before);
            store.archive(&kept.root).unwrap().verify_all().unwrap();
            // There is room again for what fits.
            let other = TestPackage::new("other", "1.0:0").pack();
            store
                .ingest_stream(&mut &other[..], None, &expected(), &mut go_on)
                .unwrap();
        },
    );
}

#[test]
fn a_disk_without_room_for_names_leaves_nothing() {
    let name = "store::faults::a_disk_without_room_for_names_leaves_nothing";
    in_small_file_system(name, "64m,nr_inodes=8", |folder| {
        let store = Store::open(folder.join("store")).unwrap();
        let bytes = hello().pack();
        let error = store
            .ingest_stream(&mut &bytes[..], None, &expected(), &mut go_on)
            .unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert_eq!(names(&folder.join("store")), BTreeSet::new());
    });
}

#[test]
fn an_output_that_fails_is_told_from_a_damaged_store() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bench = Bench::new();
    let installed = bench.ingest_file(&hello().pack()).unwrap();
    let error = bench
        .store
        .reassemble(&installed.root, &mut Full)
        .unwrap_err();
    assert!(matches!(error, StoreError::Output(_)), "{error}");
}
