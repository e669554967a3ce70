//! The content store: what goes in comes out, and nothing else stays.

mod faults;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coppice_s9pk::{Archive, Content, Digest, Expected, Header, Installed, Store, StoreError};
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
fn a_large_root_that_was_promised_stays_readable() {
    let mut bytes = hello().pack();
    let (header, position, size) = Header::parse(&bytes, None).unwrap();
    let promise = coppice_s9pk::Commitment {
        root_maxsize: 1 << 21,
        ..*header.commitment()
    };
    let head = Header::sign(promise, &key()).to_bytes(position, size);
    bytes[..155].copy_from_slice(&head);
    let bench = Bench::new();
    assert!(bench.ingest_file(&bytes).is_err());
    let expected = Expected {
        commitment: Some(promise),
        ..expected()
    };
    let file = bench.file(&bytes);
    let installed = bench
        .store
        .ingest_file(&file, &expected, &mut go_on)
        .unwrap();
    let again = bench
        .store
        .installed(&installed.root, &expected.arch)
        .unwrap();
    assert_eq!(again.commitment, promise);
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
