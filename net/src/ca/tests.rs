use std::process::Command;

use proptest::prelude::*;
use x509_parser::{extensions::GeneralName, prelude::ParsedExtension};

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn now() -> Wall {
    Wall::from_millis(NOW)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn days_between(from: Wall, until: Wall) -> i64 {
    (until.as_seconds() - from.as_seconds()) / 86_400
}

#[test]
fn a_root_is_an_authority_of_one_level_for_at_most_ten_years() {
    let root = Authority::create("Coppice abc234", now()).unwrap();
    let der = CertificateDer::from_pem_slice(root.cert_pem().as_bytes()).unwrap();
    let (_, cert) = x509_parser::parse_x509_certificate(&der).unwrap();
    let constraints = cert.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(1));
    assert!(days_between(now(), root.not_after()) < 3651);
    assert_eq!(cert.subject(), cert.issuer());
}

#[test]
fn a_leaf_names_what_was_asked_and_lives_at_most_397_days() {
    let root = Authority::create("Coppice abc234", now()).unwrap();
    let leaf = root
        .issue(
            &names(&["hello-willow.local"]),
            &["192.168.1.5".parse().unwrap(), "fd00::5".parse().unwrap()],
            now(),
        )
        .unwrap();
    assert!(days_between(leaf.not_before, leaf.not_after) <= 397);
    assert!(leaf.not_before < now());
    let der = CertificateDer::from_pem_slice(leaf.chain_pem.as_bytes()).unwrap();
    let (_, cert) = x509_parser::parse_x509_certificate(&der).unwrap();
    let san = cert.subject_alternative_name().unwrap().unwrap();
    let listed: Vec<String> = san
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => format!("{} bytes", bytes.len()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(listed, ["hello-willow.local", "4 bytes", "16 bytes"]);
    assert!(cert.extensions().iter().any(|e| matches!(
        e.parsed_extension(),
        ParsedExtension::AuthorityKeyIdentifier(id) if id.key_identifier.is_some()
    )));
    assert!(!cert.is_ca());
    assert!(
        cert.extended_key_usage()
            .unwrap()
            .unwrap()
            .value
            .server_auth
    );
    assert_eq!(
        CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes()).count(),
        2
    );
}

#[test]
fn a_reloaded_root_goes_on_signing_for_those_who_trust_it() {
    let root = Authority::create("Coppice abc234", Wall::now()).unwrap();
    let again = Authority::from_pem(root.cert_pem(), &root.key_pem()).unwrap();
    assert_eq!(again.not_after(), root.not_after());
    let leaf = again
        .issue(&names(&["willow.local"]), &[], Wall::now())
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("root.pem"), root.cert_pem()).unwrap();
    std::fs::write(dir.path().join("leaf.pem"), &leaf.chain_pem).unwrap();
    let verified = Command::new("openssl")
        .current_dir(dir.path())
        .args(["verify", "-x509_strict", "-purpose", "sslserver"])
        .args([
            "-verify_hostname",
            "willow.local",
            "-CAfile",
            "root.pem",
            "leaf.pem",
        ])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let one = Authority::create("one", now()).unwrap();
    let two = Authority::create("two", now()).unwrap();
    let leaf = one.issue(&names(&["a.local"]), &[], now()).unwrap();
    assert!(matches!(
        Authority::from_pem(one.cert_pem(), &two.key_pem()),
        Err(CaError::KeyMismatch)
    ));
    assert!(matches!(
        Authority::from_pem(&leaf.chain_pem, &leaf.key_pem),
        Err(CaError::NotAnAuthority)
    ));
    assert!(matches!(
        Authority::from_pem("nonsense", &one.key_pem()),
        Err(CaError::Unreadable {
            what: "certificate",
            ..
        })
    ));
    assert!(matches!(
        Authority::from_pem(one.cert_pem(), &KeyPem::new("nonsense".into())),
        Err(CaError::Unreadable { what: "key", .. })
    ));
}

#[test]
fn a_certificate_for_nothing_or_for_a_bad_name_is_refused() {
    let root = Authority::create("one", now()).unwrap();
    assert!(matches!(root.issue(&[], &[], now()), Err(CaError::NoNames)));
    for bad in ["Willow.local", "a b", "*.local", "10.0.0.1", ""] {
        assert!(
            matches!(
                root.issue(&names(&[bad]), &[], now()),
                Err(CaError::Name { .. })
            ),
            "{bad}"
        );
    }
}

#[test]
fn a_leaf_never_outlives_its_root_and_a_dead_root_signs_nothing() {
    let root = Authority::create("one", now()).unwrap();
    let late = Wall::from_millis(root.not_after().as_millis() - 86_400_000);
    let leaf = root.issue(&names(&["a.local"]), &[], late).unwrap();
    assert_eq!(leaf.not_after, root.not_after());
    assert!(matches!(
        root.issue(&names(&["a.local"]), &[], root.not_after()),
        Err(CaError::RootNotValid { .. })
    ));
}

#[test]
fn a_leaf_is_kept_until_two_thirds_of_its_life_and_renewed_after() {
    let day = |n: i64| Wall::from_millis(NOW + n * 86_400_000);
    let (from, to) = (day(0), day(390));
    assert_eq!(
        renewal(from, to, day(100)),
        Renewal::Keep { until: day(260) }
    );
    assert_eq!(renewal(from, to, day(260)), Renewal::Now(Reason::Ageing));
    assert_eq!(renewal(from, to, day(390)), Renewal::Now(Reason::Expired));
    assert_eq!(
        renewal(from, to, day(-1)),
        Renewal::Now(Reason::FromTheFuture)
    );
}

proptest! {
    #[test]
    fn whoever_waits_as_told_never_shows_an_expired_leaf(life in 1i64..50_000_000_000, at in 0.0f64..1.0) {
        let from = Wall::from_millis(NOW);
        let to = Wall::from_millis(NOW + life);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a random moment")]
        let now = Wall::from_millis(NOW + (life as f64 * at) as i64);
        match renewal(from, to, now) {
            Renewal::Keep { until } => {
                prop_assert!(now < until && until <= to);
                prop_assert_eq!(renewal(from, to, until), Renewal::Now(Reason::Ageing));
            }
            Renewal::Now(reason) => prop_assert_eq!(reason, Reason::Ageing),
        }
    }
}

#[test]
fn a_leaf_of_the_authority_below_the_root_is_trusted_by_who_trusts_the_root() {
    let root = Authority::create("Coppice abc234", Wall::now()).unwrap();
    let below = root
        .subordinate("Coppice abc234 services", Wall::now())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("root"), root.cert_pem()).unwrap();
    for kind in [KeyKind::Ecdsa, KeyKind::Ed25519] {
        let hosts = names(&["lnd.startos"]);
        let leaf = below.issue_of(kind, &hosts, &[], Wall::now()).unwrap();
        std::fs::write(path("chain"), &leaf.chain_pem).unwrap();
        std::fs::write(path("below"), below.cert_pem()).unwrap();
        let verify = |untrusted: &str| {
            let mut openssl = Command::new("openssl");
            openssl
                .args(["verify", "-x509_strict", "-CAfile"])
                .arg(path("root"));
            openssl
                .arg("-untrusted")
                .arg(path(untrusted))
                .arg(path("chain"));
            openssl.output().unwrap().status.success()
        };
        assert!(verify("below"), "{kind:?}");
        assert!(!verify("root"), "the chain needs its middle");
    }
}
