//! Reading and writing archives: the worked example, what must be refused, what must not.

use coppice_s9pk::{Archive, ArchiveError, Contents, Digest, Header, Seekable, TocFault};
use proptest::prelude::*;

use crate::header::{commitment, draft, file_a, file_b, file_c};
use crate::package::{TestPackage, key, pack};

/// A root table with the given bytes, signed; so what follows the signature is tested.
fn with_root(table: &[u8], body: &[u8]) -> Vec<u8> {
    // The signature covers the hash of the *canonical* table, which a malformed one does not have.
    let promise = coppice_s9pk::Commitment {
        root_sighash: canonical_hash(table),
        root_maxsize: 4096,
    };
    let header = Header::sign(promise, &key());
    let mut bytes = header.to_bytes(155, table.len() as u64).to_vec();
    bytes.extend(table);
    bytes.extend(body);
    bytes
}

/// The hash a table would have if it were canonical already (all entries missing).
fn canonical_hash(table: &[u8]) -> Digest {
    Digest::of(table)
}

fn entry(name: &[u8], kind: u8, tail: &[u64]) -> Vec<u8> {
    let mut bytes = vec![name.len() as u8];
    bytes.extend(name);
    bytes.extend([0; 32]);
    bytes.extend(5u64.to_be_bytes());
    bytes.push(kind);
    bytes.extend(tail.iter().flat_map(|n| n.to_be_bytes()));
    bytes
}

fn toc_fault(table: &[u8]) -> (TocFault, i32) {
    match Archive::open(with_root(table, b"hello"), None) {
        Err(error @ ArchiveError::Toc { .. }) => {
            let code = error.code();
            let ArchiveError::Toc { fault, .. } = error else {
                unreachable!()
            };
            (fault, code)
        }
        other => panic!("expected a fault in the table, got {other:?}"),
    }
}

#[test]
fn a_b_and_c_verify_with_one_commitment() {
    for file in [file_a(), file_b(), file_c()] {
        let archive = Archive::open(file, Some(commitment())).unwrap();
        archive.verify_all().unwrap();
        assert_eq!(archive.read("manifest.json", 10).unwrap(), b"{}");
        assert_eq!(*archive.commitment(), commitment());
    }
}

#[test]
fn a_fresh_package_and_a_rewritten_one_are_in_priority_order() {
    assert_eq!(pack(draft()), file_b());
    let mut rewritten = Vec::new();
    Archive::open(file_a(), None)
        .unwrap()
        .write(&mut rewritten)
        .unwrap();
    assert_eq!(rewritten, file_b());
}

#[test]
fn a_filtered_archive_keeps_signature_and_commitment() {
    let package = TestPackage::new("hello", "1.0:0").with("extra.txt", "dropped");
    let mut archive = package.open();
    let before = *archive.commitment();
    let contents = archive
        .contents(&archive.manifest().unwrap(), None)
        .unwrap();
    archive.keep_only(&contents);
    let mut filtered = Vec::new();
    archive.write(&mut filtered).unwrap();
    let filtered = Archive::open(filtered, Some(before)).unwrap();
    filtered.verify_all().unwrap();
    assert!(!filtered.file_tree().contains(&"extra.txt".to_owned()));
    assert!(matches!(
        filtered.read("extra.txt", 10),
        Err(ArchiveError::NotAFile {
            found: "left out of this file",
            ..
        })
    ));
}

#[test]
fn filtering_d_out_of_a_gives_c() {
    let mut archive = Archive::open(file_a(), None).unwrap();
    let keep = ["icon.png", "manifest.json"].map(str::to_owned).into();
    archive.retain(&keep);
    let mut filtered = Vec::new();
    archive.write(&mut filtered).unwrap();
    assert_eq!(filtered, file_c());
}

#[test]
fn every_flip_of_one_bit_of_a_is_noticed() {
    // Positions are not signed: only there may opening succeed, and then the body does not match.
    let positions = [265..=272, 328..=335, 384..=391];
    for at in 0..397 {
        for bit in 0..8 {
            let mut bytes = file_a();
            bytes[at] ^= 1 << bit;
            match Archive::open(bytes, Some(commitment())) {
                Err(error) => {
                    let code = error.code();
                    assert!(
                        matches!(code, 13 | 18 | 31),
                        "offset {at}: {error} has code {code}"
                    );
                    assert!(at < 392, "offset {at} is in a body");
                }
                Ok(archive) => {
                    let is_position = positions.iter().any(|range| range.contains(&at));
                    assert!(is_position || at >= 392, "offset {at} was accepted");
                    let error = archive.verify_all().unwrap_err();
                    assert!(
                        matches!(error, ArchiveError::BodyHash { .. }),
                        "offset {at}"
                    );
                    assert_eq!(error.code(), 31);
                }
            }
        }
    }
}

#[test]
fn every_shorter_file_is_refused() {
    for length in 0..397 {
        let bytes = file_a()[..length].to_vec();
        let error = Archive::open(bytes, Some(commitment())).unwrap_err();
        assert_eq!(error.code(), 18, "{length}: {error}");
    }
}

#[test]
fn row_6_a_table_larger_than_signed_is_refused() {
    let mut bytes = file_a();
    bytes[147..155].copy_from_slice(&182u64.to_be_bytes());
    let error = Archive::open(bytes, None).unwrap_err();
    assert!(matches!(
        error,
        ArchiveError::TocTooLarge {
            size: 182,
            max: 181,
            ..
        }
    ));
    assert_eq!(error.code(), 31);
}

#[test]
fn row_7_cut_and_malformed_tables_are_refused() {
    assert_eq!(toc_fault(b""), (TocFault::Truncated, 18));
    assert_eq!(toc_fault(&[1]), (TocFault::Truncated, 18));
    assert_eq!(toc_fault(&[1, 4, b'a']), (TocFault::Truncated, 18));
    assert_eq!(toc_fault(&[0x80; 11]), (TocFault::Varint, 18));
    let overflow = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(toc_fault(&overflow), (TocFault::Varint, 18));
    assert_eq!(toc_fault(&[0x80, 0x00]), (TocFault::Varint, 18));
    assert_eq!(
        toc_fault(&[1, 0xff, 0xff, 0x03]),
        (TocFault::LongName(65535), 18)
    );
    let not_utf8 = [vec![1], entry(b"\xff", 0, &[])].concat();
    assert_eq!(toc_fault(&not_utf8), (TocFault::NameNotUtf8, 13));
}

#[test]
fn row_8_an_unknown_kind_is_refused() {
    let table = [vec![1], entry(b"a", 3, &[])].concat();
    let (fault, code) = toc_fault(&table);
    assert!(matches!(fault, TocFault::UnknownKind { kind: 3, .. }));
    assert_eq!(code, 18);
}

#[test]
fn row_9_a_table_that_was_not_signed_is_refused() {
    let mut bytes = file_a();
    bytes[230] ^= 1;
    let error = Archive::open(bytes, None).unwrap_err();
    assert!(matches!(error, ArchiveError::TocHash { .. }), "{error}");
    assert_eq!(error.code(), 31);
}

#[test]
fn row_11_a_directory_or_a_missing_body_is_not_a_file() {
    let archive = Archive::open(file_c(), None).unwrap();
    let error = archive.read("d", 10).unwrap_err();
    assert_eq!(
        (error.to_string(), error.code()),
        ("`d` is left out of this file, not a file".into(), 18)
    );
    let archive = Archive::open(file_a(), None).unwrap();
    assert_eq!(archive.read("d", 10).unwrap_err().code(), 18);
    assert_eq!(archive.read("nothing", 10).unwrap_err().code(), 6);
    assert_eq!(archive.read("manifest.json", 1).unwrap_err().code(), 18);
}

#[test]
fn row_12_no_manifest_and_a_bad_one_are_told_apart() {
    let mut draft = coppice_s9pk::Draft::new();
    draft
        .insert("a", coppice_s9pk::Content::Bytes(vec![]))
        .unwrap();
    let archive = Archive::open(pack(draft), None).unwrap();
    assert_eq!(archive.manifest().unwrap_err().code(), 6);
    let archive = Archive::open(file_a(), None).unwrap();
    assert_eq!(archive.manifest().unwrap_err().code(), 12);
}

#[test]
fn row_16_hardening_refuses_what_no_writer_makes() {
    let twice = [vec![2], entry(b"a", 0, &[]), entry(b"a", 0, &[])].concat();
    assert_eq!(toc_fault(&twice).0, TocFault::Duplicate("a".into()));
    let trailing = [vec![1], entry(b"a", 0, &[]), vec![0]].concat();
    assert_eq!(toc_fault(&trailing).0, TocFault::TrailingBytes(1));
    for name in ["", ".", "..", "a/b", "a\0"] {
        let table = [vec![1], entry(name.as_bytes(), 0, &[])].concat();
        assert_eq!(toc_fault(&table), (TocFault::BadName(name.into()), 18));
    }
    for position in [u64::MAX, u64::MAX - 4, 1000] {
        let canonical = [vec![1], entry(b"a", 0, &[])].concat();
        let mut bytes = with_root(&canonical, b"hello");
        let table = [vec![1], entry(b"a", 1, &[position])].concat();
        bytes[147..155].copy_from_slice(&(table.len() as u64).to_be_bytes());
        bytes.splice(155.., table);
        let error = Archive::open(bytes, None).unwrap_err();
        assert!(matches!(error, ArchiveError::BehindEnd { .. }), "{error}");
        assert_eq!(error.code(), 18);
    }
}

#[test]
fn a_table_that_contains_itself_is_refused() {
    // A hash that contains itself cannot be made; many levels that share one table can. Here each of
    // 17 levels is real.
    let mut draft = coppice_s9pk::Draft::new();
    let deep = format!("{}x", "d/".repeat(17));
    draft
        .insert(&deep, coppice_s9pk::Content::Bytes(vec![]))
        .unwrap();
    let error = Archive::open(pack(draft), None).unwrap_err();
    assert!(matches!(error, ArchiveError::TooComplex(_)), "{error}");
    let mut draft = coppice_s9pk::Draft::new();
    let deep = format!("{}x", "d/".repeat(16));
    draft
        .insert(&deep, coppice_s9pk::Content::Bytes(vec![]))
        .unwrap();
    Archive::open(pack(draft), None).unwrap();
}

#[test]
fn shared_tables_cannot_expand_without_end() {
    // Two entries per level point at one table below: 2^15 copies of the leaf's 8 entries.
    let mut table = vec![8];
    (0..8).for_each(|i| table.extend(entry(&[b'a' + i], 0, &[])));
    let mut file_tables = vec![table.clone()];
    let (mut hash, mut size) = (Digest::of(&table), table.len() as u64);
    for _ in 0..15 {
        let line = |name: u8, tail: Option<u64>| {
            let mut line = vec![1, name];
            line.extend(hash.0);
            line.extend(size.to_be_bytes());
            match tail {
                None => line.push(0),
                Some(position) => {
                    line.push(2);
                    line.extend(position.to_be_bytes());
                    line.extend(size.to_be_bytes());
                }
            }
            line
        };
        // Tables are laid out deepest first, so positions are known.
        let position = 155
            + file_tables
                .iter()
                .rev()
                .skip(1)
                .map(|t| t.len() as u64)
                .sum::<u64>();
        let canonical = [vec![2], line(b'a', None), line(b'b', None)].concat();
        let real = [
            vec![2],
            line(b'a', Some(position)),
            line(b'b', Some(position)),
        ]
        .concat();
        (hash, size) = (Digest::of(&canonical), real.len() as u64);
        file_tables.push(real);
    }
    let promise = coppice_s9pk::Commitment {
        root_sighash: hash,
        root_maxsize: size,
    };
    let all = file_tables.concat();
    let position = 155 + all.len() as u64 - size;
    let mut bytes = Header::sign(promise, &key())
        .to_bytes(position, size)
        .to_vec();
    bytes.extend(all);
    let error = Archive::open(bytes, None).unwrap_err();
    assert!(matches!(error, ArchiveError::TooComplex(_)), "{error}");
    assert_eq!(error.code(), 18);
}

#[test]
fn gaps_and_any_order_of_bodies_are_accepted() {
    let mut bytes = file_a();
    bytes.splice(392.., b"....{}..I..hi".iter().copied());
    bytes[265..273].copy_from_slice(&400u64.to_be_bytes());
    bytes[328..336].copy_from_slice(&396u64.to_be_bytes());
    bytes[384..392].copy_from_slice(&403u64.to_be_bytes());
    Archive::open(bytes, Some(commitment()))
        .unwrap()
        .verify_all()
        .unwrap();
}

#[test]
fn an_archive_is_read_through_a_seekable_reader() {
    let source = Seekable::new(std::io::Cursor::new(file_a()));
    Archive::open(source, Some(commitment()))
        .unwrap()
        .verify_all()
        .unwrap();
}

#[test]
fn a_damaged_body_ends_the_rewriting() {
    let mut bytes = file_a();
    bytes[396] ^= 1;
    let archive = Archive::open(bytes, None).unwrap();
    let error = archive.write(&mut Vec::new()).unwrap_err();
    assert_eq!(error.code(), 31);
}

#[test]
fn a_path_that_leaves_its_directory_cannot_be_packed() {
    let mut draft = coppice_s9pk::Draft::new();
    for path in ["", "/a", "a//b", "../a", "a/."] {
        let error = draft
            .insert(path, coppice_s9pk::Content::Bytes(vec![]))
            .unwrap_err();
        assert_eq!(error.code(), 23, "{path}");
    }
}

#[test]
fn contents_are_checked_on_any_tree() {
    let archive = TestPackage::new("hello", "1.0:0").open();
    let manifest = archive.manifest().unwrap();
    let contents = Contents::of(archive.root(), &manifest, None).unwrap();
    assert_eq!(
        (contents.icon(), contents.icon_mime()),
        ("icon.png", "image/png")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_table_makes_the_reader_panic(table in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Archive::open(with_root(&table, b""), None);
    }

    #[test]
    fn no_damage_to_a_package_goes_unnoticed(
        damage in proptest::collection::vec((0usize..397, any::<u8>()), 1..8)
    ) {
        let mut bytes = file_a();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        let changed = bytes != file_a();
        let opened = Archive::open(bytes, Some(commitment()));
        let accepted = opened.and_then(|archive| {
            archive.verify_all()?;
            archive.file("d/b.txt")?;
            archive.file("icon.png")?;
            archive.file("manifest.json")?;
            Ok(())
        });
        prop_assert_eq!(accepted.is_ok(), !changed);
    }
}
