//! The content store: what goes in comes out, and nothing else stays.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coppice_s9pk::{
    Archive, ArchiveError, Content, Digest, Draft, Expected, Header, Installed, Store, StoreError,
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use crate::package::{TestPackage, key, pack, vector};

struct Bench {
    folder: TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn file(&self, bytes: &[u8]) -> File {
        let path = self.folder.path().join("package.s9pk");
        fs::write(&path, bytes).unwrap();
        File::open(path).unwrap()
    }

    fn ingest_file(&self, bytes: &[u8]) -> Result<Installed, StoreError> {
        self.store
            .ingest_file(&self.file(bytes), &expected(), &mut go_on)
    }

    fn ingest_stream(&self, bytes: &[u8]) -> Result<Installed, StoreError> {
        let length = Some(bytes.len() as u64);
        self.store
            .ingest_stream(&mut &bytes[..], length, &expected(), &mut go_on)
    }

    fn reassemble(&self, root: &Digest) -> Vec<u8> {
        let mut out = Vec::new();
        self.store.reassemble(root, &mut out).unwrap();
        out
    }

    fn names(&self) -> BTreeSet<String> {
        names(&self.folder.path().join("store"))
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn expected() -> Expected {
    Expected {
        arch: "x86_64".parse().unwrap(),
        ..Expected::any()
    }
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Large enough for several chunks, reserved room and an odd end.
fn large() -> Vec<u8> {
    (0..3_000_001u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn hello() -> TestPackage {
    TestPackage::new("hello", "1.0:0")
}

#[test]
fn packages_come_out_byte_for_byte_whether_they_came_as_file_or_stream() {
    let mut packages = vec![
        hello().pack(),
        hello()
            .without("javascript.squashfs")
            .with("javascript.squashfs", large())
            .pack(),
    ];
    for name in ["hello-min.s9pk", "hello-full.s9pk"] {
        packages.push(fs::read(vector(name)).unwrap());
    }
    for bytes in packages {
        for stream in [false, true] {
            let bench = Bench::new();
            let installed = if stream {
                bench.ingest_stream(&bytes)
            } else {
                bench.ingest_file(&bytes)
            };
            let installed = installed.unwrap();
            assert_eq!(installed.file_size, bytes.len() as u64);
            assert_eq!(bench.reassemble(&installed.root), bytes);
            bench
                .store
                .archive(&installed.root)
                .unwrap()
                .verify_all()
                .unwrap();
        }
    }
}

#[test]
fn bodies_lie_padded_and_read_only_under_their_hash() {
    let bench = Bench::new();
    let installed = bench.ingest_file(&hello().pack()).unwrap();
    assert_eq!(installed.manifest.id, "hello");
    assert_eq!(installed.icon, "icon.png");
    for (path, body) in &installed.entries {
        let stored = bench.store.path_of(&body.hash);
        let metadata = stored.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o444);
        assert_eq!(metadata.len(), body.size.next_multiple_of(4096), "{path}");
        let bytes = fs::read(&stored).unwrap();
        let (contents, padding) = bytes.split_at(body.size as usize);
        assert_eq!(Digest::of(contents), body.hash);
        assert!(padding.iter().all(|b| *b == 0));
    }
    assert!(
        installed
            .entries
            .contains_key("images/x86_64/main.squashfs")
    );
}

#[test]
fn what_is_installed_is_known_after_a_restart() {
    let bench = Bench::new();
    let before = bench.ingest_file(&hello().pack()).unwrap();
    let store = Store::open(bench.folder.path().join("store")).unwrap();
    assert_eq!(store.list().unwrap(), [before.root]);
    let after = store.installed(&before.root, &expected().arch).unwrap();
    assert_eq!(after.entries, before.entries);
    assert_eq!(after.manifest, before.manifest);
    assert_eq!(after.commitment, before.commitment);
}

#[test]
fn files_that_do_not_count_are_kept_but_not_listed() {
    let bench = Bench::new();
    let bytes = hello().with("extra.bin", "extra").pack();
    let installed = bench.ingest_file(&bytes).unwrap();
    assert!(!installed.entries.contains_key("extra.bin"));
    assert_eq!(bench.reassemble(&installed.root), bytes);
}

#[test]
fn two_packages_share_bodies_and_removal_leaves_the_others() {
    let bench = Bench::new();
    let one = bench.ingest_file(&hello().pack()).unwrap();
    let two = bench
        .ingest_file(&TestPackage::new("other", "1.0:0").pack())
        .unwrap();
    let shared = one.entries["javascript.squashfs"];
    assert_eq!(two.entries["javascript.squashfs"], shared);

    bench.store.remove(&one.root).unwrap();
    assert_eq!(bench.store.list().unwrap(), [two.root]);
    assert!(bench.store.path_of(&shared.hash).exists());
    let gone = one.entries["images/x86_64/main.squashfs"];
    assert!(!bench.store.path_of(&gone.hash).exists());
    bench
        .store
        .archive(&two.root)
        .unwrap()
        .verify_all()
        .unwrap();

    bench.store.remove(&two.root).unwrap();
    assert_eq!(bench.names(), BTreeSet::new());
    let error = bench.store.remove(&two.root).unwrap_err();
    assert!(matches!(error, StoreError::NotInstalled(_)));
    assert_eq!(error.code(), 6);
}

#[test]
fn installing_twice_changes_nothing() {
    let bench = Bench::new();
    let bytes = hello().pack();
    bench.ingest_file(&bytes).unwrap();
    let before = bench.names();
    let again = bench.ingest_stream(&bytes).unwrap();
    assert_eq!(bench.names(), before);
    assert_eq!(bench.reassemble(&again.root), bytes);
}

#[test]
fn another_layout_of_the_same_package_takes_its_place() {
    let bench = Bench::new();
    let package = hello().with("extra.bin", "extra");
    let full = bench.ingest_file(&package.pack()).unwrap();
    let mut archive = package.open();
    let contents = archive
        .contents(&archive.manifest().unwrap(), None)
        .unwrap();
    archive.keep_only(&contents);
    let mut filtered = Vec::new();
    archive.write(&mut filtered).unwrap();

    let after = bench.ingest_file(&filtered).unwrap();
    assert_eq!(after.root, full.root);
    assert_eq!(bench.reassemble(&after.root), filtered);
    assert!(!bench.store.path_of(&Digest::of(b"extra")).exists());
}

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
fn gaps_and_tails_are_kept_within_bounds() {
    let original = hello().pack();
    for (tail, accepted) in [
        (vec![0; 3_000_000], true),
        (vec![7; 200_000], true),
        (vec![7; 19 << 20], false),
    ] {
        let bytes = [original.clone(), tail].concat();
        for stream in [false, true] {
            let bench = Bench::new();
            let result = if stream {
                bench.ingest_stream(&bytes)
            } else {
                bench.ingest_file(&bytes)
            };
            match result {
                Ok(installed) => {
                    assert!(accepted);
                    assert_eq!(bench.reassemble(&installed.root), bytes);
                }
                Err(error) => {
                    assert!(!accepted, "{error}");
                    assert!(matches!(error, StoreError::Excess));
                    assert_eq!(bench.names(), BTreeSet::new());
                }
            }
        }
    }
}

/// Two files of one body at one place, and one inside another: allowed by every reader.
fn overlapping() -> Vec<u8> {
    let mut draft = hello()
        .with("a.bin", "0123456789")
        .with("b.bin", "456")
        .draft();
    draft
        .insert("c.bin", Content::Bytes(b"0123456789".to_vec()))
        .unwrap();
    draft
        .insert("d.bin", Content::Bytes(b"789abc".to_vec()))
        .unwrap();
    let bytes = pack(draft);
    // Move all four into one stretch behind the end by patching their positions in the root table.
    let base = bytes.len() as u64;
    let mut moved = [bytes, b"0123456789abc".to_vec()].concat();
    let places = [("a.bin", 0u64), ("b.bin", 4), ("c.bin", 0), ("d.bin", 7)];
    for (name, offset) in places {
        let needle = [&[5u8], name.as_bytes()].concat();
        let at = moved
            .windows(6)
            .position(|window| window == needle)
            .unwrap();
        let position = at + 6 + 32 + 8 + 1;
        moved[position..position + 8].copy_from_slice(&(base + offset).to_be_bytes());
    }
    moved
}

#[test]
fn overlapping_bodies_install_from_a_file_and_come_out_byte_for_byte() {
    let bytes = overlapping();
    Archive::open(bytes.clone(), None)
        .unwrap()
        .verify_all()
        .unwrap();
    let bench = Bench::new();
    let installed = bench.ingest_file(&bytes).unwrap();
    assert_eq!(bench.reassemble(&installed.root), bytes);
    bench
        .store
        .archive(&installed.root)
        .unwrap()
        .verify_all()
        .unwrap();
    for body in [&b"0123456789"[..], b"456", b"789abc"] {
        let stored = fs::read(bench.store.path_of(&Digest::of(body))).unwrap();
        assert_eq!(&stored[..body.len()], body);
    }
    let error = bench.ingest_stream(&bytes).unwrap_err();
    assert!(matches!(error, StoreError::NotStreamable(_)), "{error}");
    // The next start finds every body in use.
    let store = Store::open(bench.folder.path().join("store")).unwrap();
    store
        .archive(&installed.root)
        .unwrap()
        .verify_all()
        .unwrap();
}

#[test]
fn what_was_asked_for_is_what_must_come() {
    let bytes = hello().field("osVersion", json!("0.4.0")).pack();
    let bench = Bench::new();
    let file = bench.file(&bytes);
    let try_with = |change: fn(&mut Expected)| {
        let mut expected = expected();
        change(&mut expected);
        let from_file = bench.store.ingest_file(&file, &expected, &mut go_on);
        let stream = bench
            .store
            .ingest_stream(&mut &bytes[..], None, &expected, &mut go_on);
        let (file, stream) = (from_file.unwrap_err(), stream.unwrap_err());
        assert_eq!(file.code(), stream.code());
        assert_eq!(bench.names(), BTreeSet::new());
        file
    };
    let error = try_with(|e| e.package = Some("other".parse().unwrap()));
    assert!(matches!(error, StoreError::OtherPackage { .. }));
    assert_eq!(error.code(), 24);
    let error = try_with(|e| e.version = Some("2:0".parse().unwrap()));
    assert!(matches!(error, StoreError::OtherVersion { .. }));
    assert_eq!(error.code(), 24);
    let error = try_with(|e| e.os_version = "0.3.9".parse().unwrap());
    assert!(matches!(error, StoreError::OsTooOld { .. }));
    assert_eq!(error.code(), 8);
    let error = try_with(|e| e.max_bytes = 100);
    assert!(
        matches!(error, StoreError::TooLarge { .. } | StoreError::Archive(_)),
        "{error}"
    );
    assert_eq!(error.code(), 18);
    let error = try_with(|e| {
        e.commitment = Some(coppice_s9pk::Commitment {
            root_sighash: Digest([1; 32]),
            root_maxsize: 1 << 20,
        });
    });
    assert_eq!(error.code(), 31);
}

#[test]
fn a_package_for_other_machines_is_refused_before_anything_is_written() {
    let package = hello().field("hardwareRequirements", json!({"arch": ["riscv64"]}));
    let bench = Bench::new();
    for error in [
        bench.ingest_file(&package.pack()).unwrap_err(),
        bench.ingest_stream(&package.pack()).unwrap_err(),
    ] {
        assert_eq!(error.code(), 24, "{error}");
        assert!(
            error.to_string().contains("this machine is x86_64"),
            "{error}"
        );
    }
    assert_eq!(bench.names(), BTreeSet::new());
}

#[test]
fn a_stream_is_refused_as_soon_as_its_manifest_has_passed() {
    struct Count<'a>(&'a [u8], usize);
    impl Read for Count<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1 += read;
            Ok(read)
        }
    }
    let bytes = hello()
        .field("osVersion", json!("9.0.0"))
        .with("z.bin", large())
        .pack();
    let bench = Bench::new();
    let mut stream = Count(&bytes, 0);
    let error = bench
        .store
        .ingest_stream(&mut stream, None, &expected(), &mut go_on)
        .unwrap_err();
    assert!(matches!(error, StoreError::OsTooOld { .. }));
    assert!(stream.1 < 10_000, "{} bytes were read", stream.1);
}

#[test]
fn progress_grows_to_the_size_of_the_file_and_can_end_the_intake() {
    let bytes = hello().with("z.bin", large()).pack();
    let bench = Bench::new();
    let mut seen = Vec::new();
    let mut watch = |done| {
        seen.push(done);
        ControlFlow::Continue(())
    };
    bench
        .store
        .ingest_file(&bench.file(&bytes), &expected(), &mut watch)
        .unwrap();
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(bytes.len() as u64)));

    for limit in [0, 1000, 2_000_000] {
        let bench = Bench::new();
        let mut stop = |done| {
            if done > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let error = bench
            .store
            .ingest_file(&bench.file(&bytes), &expected(), &mut stop)
            .unwrap_err();
        assert!(matches!(error, StoreError::Cancelled));
        assert_eq!(bench.names(), BTreeSet::new());
    }
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
        "store::a_full_disk_is_said_so_and_left_as_it_was",
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
    let name = "store::a_disk_without_room_for_names_leaves_nothing";
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_files_go_in_and_come_out(
        files in proptest::collection::btree_map("[a-c]{1,3}(/[d-f]{1,2})?", proptest::collection::vec(any::<u8>(), 0..9000), 0..8),
        gap in 0usize..9000,
    ) {
        let mut package = hello();
        for (path, body) in files {
            // A file and a directory of one name cannot be packed; leave such pairs out.
            let clash = package.files.iter().any(|(other, _)| {
                other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"))
            });
            if !clash {
                package = package.with(&path, body);
            }
        }
        let bytes = [package.pack(), vec![0; gap]].concat();
        let bench = Bench::new();
        let installed = bench.ingest_file(&bytes).unwrap();
        prop_assert_eq!(bench.reassemble(&installed.root), bytes.clone());
        bench.store.remove(&installed.root).unwrap();
        let installed = bench.ingest_stream(&bytes).unwrap();
        prop_assert_eq!(bench.reassemble(&installed.root), bytes);
        bench.store.remove(&installed.root).unwrap();
        prop_assert_eq!(bench.names(), BTreeSet::new());
    }
}
