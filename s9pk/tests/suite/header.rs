//! The signed header, by the worked example of the format's specification.

use coppice_s9pk::{Archive, ArchiveError, Commitment, Content, Draft, Header, HeaderError};
use ed25519_dalek::{Digest as _, Sha512};

use crate::package::key;

pub(crate) const A: &str = "3b3b0203a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc866412\
5531b890716a33faa275c94c23126aaef941b792c1ff736f85593d23ef017fd7\
1c7bc37d71eee88d3299912c703a18160c7c88703ebf35a4bdbad3fb048dc577\
d6b90cb2555d150059f54cb8b73930bf7bfb8da59898ca26a4bf3d24e7ec4baf\
ea33c200000000000000b5000000000000009b00000000000000b50301642498\
e913cee5709a88b7c6caf7448e160a03f94b7a73b35a74dc7ef4ccd1fa9d0000\
00000000003802000000000000015000000000000000380869636f6e2e706e67\
fe16f7d0a637b81708752769d7dcefe43496afd44012c2c745aa30bb86d8e6c6\
00000000000000010100000000000001880d6d616e69666573742e6a736f6e6e\
46dd10defc9b56c29a6ec56b508c21f54c08192194e4df25bf36f0c9c3c27900\
000000000000020100000000000001890105622e74787485052e9aab1b67b662\
2d94a08441b09fd5b7aca61ee360416d70de5da67d86ca000000000000000201\
000000000000018b497b7d6869";

pub(crate) const COMMITMENT: &str =
    r#"{"rootSighash":"slVdFQBZ9Uy4tzkwv3v7jaWYmMompL89JOfsS6/qM8I","rootMaxsize":181}"#;

pub(crate) fn file_a() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(A.as_bytes()).unwrap()
}

/// A in priority order: the manifest before the icon.
pub(crate) fn file_b() -> Vec<u8> {
    let a = file_a();
    let mut b = a[..215].to_vec();
    b.extend(&a[273..328]);
    b.extend(0x188u64.to_be_bytes());
    b.extend(&a[215..265]);
    b.extend(0x18au64.to_be_bytes());
    b.extend(&a[336..392]);
    b.extend(b"{}Ihi");
    b
}

/// B without the directory `d`.
pub(crate) fn file_c() -> Vec<u8> {
    let mut c = file_a()[..147].to_vec();
    let rest = "00000000000000a5\
        030d6d616e69666573742e6a736f6e6e46dd10defc9b56c29a6ec56b508c21f5\
        4c08192194e4df25bf36f0c9c3c2790000000000000002010000000000000140\
        0869636f6e2e706e67fe16f7d0a637b81708752769d7dcefe43496afd44012c2\
        c745aa30bb86d8e6c60000000000000001010000000000000142\
        01642498e913cee5709a88b7c6caf7448e160a03f94b7a73b35a74dc7ef4ccd1\
        fa9d0000000000000038007b7d49";
    c.extend(
        data_encoding::HEXLOWER
            .decode(rest.replace(' ', "").as_bytes())
            .unwrap(),
    );
    c
}

pub(crate) fn commitment() -> Commitment {
    COMMITMENT.parse().unwrap()
}

pub(crate) fn draft() -> Draft {
    let mut draft = Draft::new();
    for (path, body) in [
        ("d/b.txt", "hi"),
        ("icon.png", "I"),
        ("manifest.json", "{}"),
    ] {
        draft.insert(path, Content::Bytes(body.into())).unwrap();
    }
    draft
}

fn header_error(bytes: Vec<u8>, expected: Option<Commitment>) -> HeaderError {
    match Archive::open(bytes, expected) {
        Err(ArchiveError::Header(error)) => error,
        other => panic!("expected a header error, got {other:?}"),
    }
}

#[test]
fn the_worked_example_is_signed_as_specified() {
    let header = draft().sign(&key());
    assert_eq!(*header.commitment(), commitment());
    assert_eq!(header.to_bytes(155, 181)[..], file_a()[..155]);
    assert_eq!(
        serde_json::to_string(header.commitment()).unwrap(),
        COMMITMENT
    );
    assert_eq!(
        header.commitment().file_stem(),
        "wjkv2fialh2uzofxheyl6673rwszrggke2sl6pje47wexl7kgpba"
    );
}

#[test]
fn a_commitment_is_read_with_and_without_padding() {
    let padded = COMMITMENT.replace("6/qM8I", "6/qM8I=");
    assert_eq!(padded.parse::<Commitment>().unwrap(), commitment());
    let short = COMMITMENT.replace("6/qM8I", "6/q");
    assert!(short.parse::<Commitment>().is_err());
}

#[test]
fn row_1_short_files_and_other_formats_are_told_apart() {
    let cases = [
        (vec![], HeaderError::Short(0)),
        (file_a()[..154].to_vec(), HeaderError::Short(154)),
        (b"PK\x03\x04".to_vec(), HeaderError::Magic),
        (b";;\x01 and more".to_vec(), HeaderError::Version1),
        (b";;\x03".to_vec(), HeaderError::UnknownVersion(3)),
    ];
    for (bytes, expected) in cases {
        let error = header_error(bytes, None);
        assert_eq!(error, expected);
        assert_eq!(error.code(), 18);
    }
}

#[test]
fn row_2_a_key_that_is_no_point_is_refused() {
    let mut bytes = file_a();
    bytes[3..35].fill(0x02);
    bytes[34] = 0xff;
    let error = header_error(bytes, None);
    assert!(matches!(
        error,
        HeaderError::PublicKey | HeaderError::Signature
    ));
    assert_eq!(error.code(), 31);
}

#[test]
fn row_2_a_small_order_key_is_refused() {
    // The identity point: with R the identity and S zero the equation holds for every message.
    let mut bytes = file_a();
    bytes[3..35].fill(0);
    bytes[3] = 1;
    bytes[35..99].fill(0);
    bytes[35] = 1;
    assert_eq!(header_error(bytes, None), HeaderError::Signature);
}

#[test]
fn row_2_a_malleated_signature_is_refused() {
    // S + L verifies under sloppy rules.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = file_a();
    let mut carry = 0u16;
    for (byte, l) in bytes[67..99].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(header_error(bytes, None), HeaderError::Signature);
}

#[test]
fn row_2_a_signature_for_another_context_is_refused() {
    let prehash = Sha512::new_with_prefix(commitment().message());
    let signature = key().sign_prehashed(prehash, Some(b"s9px")).unwrap();
    let mut bytes = file_a();
    bytes[35..99].copy_from_slice(&signature.to_bytes());
    assert_eq!(header_error(bytes, None), HeaderError::Signature);
}

#[test]
fn row_2_a_changed_max_size_breaks_the_signature() {
    let mut bytes = file_a();
    bytes[138] = 180;
    assert_eq!(header_error(bytes, Some(commitment())).code(), 31);
}

#[test]
fn rows_3_and_4_a_commitment_binds_root_and_size() {
    let other = Commitment {
        root_sighash: coppice_s9pk::Digest([7; 32]),
        ..commitment()
    };
    let error = header_error(file_a(), Some(other));
    assert!(matches!(error, HeaderError::OtherPackage { .. }));
    assert_eq!(error.code(), 31);

    let smaller = Commitment {
        root_maxsize: 180,
        ..commitment()
    };
    let error = header_error(file_a(), Some(smaller));
    assert_eq!(
        error,
        HeaderError::AboveCommitment {
            expected: 180,
            found: 181
        }
    );
    assert_eq!(error.code(), 31);

    let larger = Commitment {
        root_maxsize: 182,
        ..commitment()
    };
    Archive::open(file_a(), Some(larger)).unwrap();
}

#[test]
fn row_5_without_a_commitment_a_large_root_is_refused() {
    let promise = Commitment {
        root_maxsize: 1024 * 1024 + 1,
        ..commitment()
    };
    let mut bytes = file_a();
    let head = Header::sign(promise, &key()).to_bytes(155, 181);
    bytes[..155].copy_from_slice(&head);
    let error = header_error(bytes.clone(), None);
    assert_eq!(error, HeaderError::RootTooLarge(1024 * 1024 + 1));
    assert_eq!(error.code(), 31);
    Archive::open(bytes, Some(promise)).unwrap();
}
