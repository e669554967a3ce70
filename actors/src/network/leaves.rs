//! The server's certificate authority and the leaves it has issued.
//!
//! Two authorities: the root signs what the edge shows; the one below it signs what packages show
//! themselves (`get-ssl-certificate`), since their contract promises a chain of three.
//!
//! Invariants: the authorities' keys are in the secret store and in this process, nowhere else; a set
//! of names has one leaf until two thirds of its life are over, across restarts. A leaf that cannot
//! be replaced is used on: an old certificate is better than none.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use coppice_clock::Wall;
use coppice_net::{
    ca::{Authority, CaError, KeyKind, Renewal, renewal},
    table::{Certificate, KeyPem},
};
use patchdb::{Secret, SecretStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem};

const NAMESPACE: &str = "ca";
const LEAVES: &str = "leaves";
/// What the keys of leaves begin with that packages asked for.
const ASKED: &str = "asked ";
const CERTIFICATE_END: &str = "-----END CERTIFICATE-----";

/// Most leaves that are kept for one service's asking. lnd, the one package that is known to ask,
/// has one; a package that takes its own new address each time has one more per container.
const MOST_ASKED: usize = 64;

/// The authorities and their leaves.
pub struct Leaves {
    authority: Authority,
    /// Signs what packages show themselves.
    below: Authority,
    secrets: SecretStore,
}

/// A certificate that packages asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The leaf, the authority that signed it, the root; PEM each.
    pub chain: Vec<String>,
    /// The leaf's key, PKCS#8 PEM.
    pub key_pem: KeyPem,
}

/// What a certificate is asked for by; the same one always gives the same certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wanted {
    kind: KeyKind,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Wanted {
    /// Of a set of host names and addresses, in any order and letter case.
    #[must_use]
    pub fn of(hostnames: &[String], kind: KeyKind) -> Self {
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for host in hostnames {
            match host.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => names.push(host.to_ascii_lowercase()),
            }
        }
        names.sort();
        names.dedup();
        addresses.sort();
        addresses.dedup();
        Self {
            kind,
            names,
            addresses,
        }
    }

    /// The end of the key that its leaf is kept under; before it stands who asked.
    fn key(&self) -> String {
        let text = format!("{:?} {:?} {:?}", self.kind, self.names, self.addresses);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// A leaf as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    chain_pem: String,
    key_pem: KeyPem,
    not_before: Wall,
    not_after: Wall,
}

impl Leaves {
    /// Opens the authority, or makes it at first start.
    ///
    /// # Errors
    /// When the secret store fails or what it holds is unreadable.
    pub fn open(secrets: SecretStore, server_id: &str) -> Result<Self, Problem> {
        let stored = |name: &str| -> Result<Option<String>, Problem> {
            let secret = secrets
                .get(NAMESPACE, name)
                .map_err(|error| Problem::of(Kind::Database, &error))?;
            secret
                .map(|secret| String::from_utf8(secret.expose().to_vec()))
                .transpose()
                .map_err(|error| Problem::of(Kind::OpenSsl, &error))
        };
        let open_or_make = |role: &str, make: &dyn Fn() -> Result<Authority, CaError>| {
            let (cert, key) = (format!("{role}-cert"), format!("{role}-key"));
            if let (Some(cert), Some(key)) = (stored(&cert)?, stored(&key)?) {
                return Authority::from_pem(&cert, &KeyPem::new(key)).map_err(failed);
            }
            let made = make().map_err(failed)?;
            let keep = |name: &str, text: &str| {
                secrets
                    .put(NAMESPACE, name, &Secret::new(text))
                    .map_err(|error| Problem::of(Kind::Database, &error))
            };
            // The certificate last: a crash in between leaves a key that the next start replaces.
            keep(&key, made.key_pem().expose())?;
            keep(&cert, made.cert_pem())?;
            Ok(made)
        };
        let authority = open_or_make("root", &|| {
            Authority::create(&format!("Coppice {server_id} Root CA"), Wall::now())
        })?;
        let below = open_or_make("services", &|| {
            authority.subordinate(&format!("Coppice {server_id} Services CA"), Wall::now())
        })?;
        Ok(Self {
            authority,
            below,
            secrets,
        })
    }

    /// The root certificate.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        self.authority.cert_pem()
    }

    /// SHA-256 of the root certificate, as hex pairs joined by colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let lines = self.authority.cert_pem().lines();
        let body: String = lines.filter(|line| !line.starts_with("-----")).collect();
        // Our own PEM text always decodes; an empty fingerprint would only be shown, not trusted.
        let der = STANDARD.decode(body).unwrap_or_default();
        let pairs: Vec<String> = Sha256::digest(der)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        pairs.join(":")
    }

    /// The certificate for these names, kept under `key`: the one there is, or a new one.
    ///
    /// A server without a clock of its own wakes up in the past and learns the time later. Before the
    /// root's first moment it certainly is not, so age is not looked at then, and a new leaf is one
    /// of the root's first moment.
    ///
    /// # Errors
    /// When there is none, and the secret store fails or a name cannot stand in a certificate.
    pub fn certificate(
        &self,
        key: &str,
        names: &[String],
        addresses: &[IpAddr],
        now: Wall,
    ) -> Result<Certificate, Problem> {
        let wanted = Wanted {
            kind: KeyKind::default(),
            names: names.to_vec(),
            addresses: addresses.to_vec(),
        };
        let leaf = self.current(key, &wanted, &self.authority, now)?;
        let mut shown_for = leaf.names;
        shown_for.extend(leaf.addresses.iter().map(IpAddr::to_string));
        Ok(Certificate {
            names: shown_for,
            chain_pem: leaf.chain_pem,
            key_pem: leaf.key_pem,
        })
    }

    /// The certificate that packages get for this set of names: the one there is, whoever asked for it
    /// first, or a new one, kept for as long as `service` is installed.
    ///
    /// # Errors
    /// When there is none, and `service` has asked for too many, the secret store fails, or a name cannot
    /// stand in a certificate.
    pub fn asked(&self, service: &str, wanted: &Wanted, now: Wall) -> Result<Asked, Problem> {
        let key = match self.key_of(wanted)? {
            Some(key) => key,
            None => {
                if self.keys_for(service)?.len() >= MOST_ASKED {
                    return Err(Problem::invalid(format!(
                        "`{service}` has asked for certificates of {MOST_ASKED} sets of names, which is the \
                         most; ask for one with all names instead"
                    )));
                }
                format!("{}{}", asked_by(service), wanted.key())
            }
        };
        let leaf = self.current(&key, wanted, &self.below, now)?;
        let mut chain: Vec<String> = leaf
            .chain_pem
            .split_inclusive(CERTIFICATE_END)
            .map(str::trim_start)
            .filter(|block| !block.is_empty())
            .map(|block| format!("{block}\n"))
            .collect();
        chain.push(self.root_pem().to_owned());
        Ok(Asked {
            chain,
            key_pem: leaf.key_pem,
        })
    }

    /// Whether whoever watches this certificate should ask for it again: it is to be replaced, or gone.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn is_due(&self, wanted: &Wanted, now: Wall) -> Result<bool, Problem> {
        let Some(key) = self.key_of(wanted)? else {
            return Ok(true);
        };
        let kept = self.kept(&key)?;
        Ok(kept.is_none_or(|kept| !self.is_fresh(&kept, now)))
    }

    /// Forgets the leaves that were made because this service asked.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn forget_asked(&self, service: &str) -> Result<(), Problem> {
        for key in self.keys_for(service)? {
            self.forget(&key)?;
        }
        Ok(())
    }

    fn key_of(&self, wanted: &Wanted) -> Result<Option<String>, Problem> {
        let end = wanted.key();
        let mut keys = self.keys()?.into_iter();
        Ok(keys.find(|key| key.starts_with(ASKED) && key.ends_with(&end)))
    }

    fn keys_for(&self, service: &str) -> Result<Vec<String>, Problem> {
        let own = asked_by(service);
        let keys = self.keys()?.into_iter();
        Ok(keys.filter(|key| key.starts_with(&own)).collect())
    }

    fn keys(&self) -> Result<Vec<String>, Problem> {
        self.secrets
            .keys(LEAVES)
            .map_err(|error| Problem::of(Kind::Database, &error))
    }

    /// Whether a leaf need not be replaced for its age.
    fn is_fresh(&self, kept: &Kept, now: Wall) -> bool {
        now < self.authority.not_before()
            || matches!(
                renewal(kept.not_before, kept.not_after, now),
                Renewal::Keep { .. }
            )
    }

    /// The leaf kept under `key`, replaced when it is not what is wanted, or old.
    fn current(
        &self,
        key: &str,
        wanted: &Wanted,
        signer: &Authority,
        now: Wall,
    ) -> Result<Kept, Problem> {
        let kept = self.kept(key)?;
        let is_good = kept.as_ref().is_some_and(|kept| {
            kept.names == wanted.names
                && kept.addresses == wanted.addresses
                && self.is_fresh(kept, now)
        });
        match kept {
            Some(kept) if is_good => Ok(kept),
            kept => {
                let now = now.max(signer.not_before());
                match (self.issue(key, wanted, signer, now), kept) {
                    (Ok(new), _) => Ok(new),
                    (Err(problem), Some(old)) => {
                        tracing::warn!(leaf = key, %problem, "a certificate was not replaced; the old one is used on");
                        Ok(old)
                    }
                    (Err(problem), None) => Err(problem),
                }
            }
        }
    }

    fn kept(&self, key: &str) -> Result<Option<Kept>, Problem> {
        let kept = self
            .secrets
            .get(LEAVES, key)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        // An unreadable leaf is replaced: it can be made again at any time.
        Ok(kept.and_then(|secret| serde_json::from_slice(secret.expose()).ok()))
    }

    fn issue(
        &self,
        key: &str,
        wanted: &Wanted,
        signer: &Authority,
        now: Wall,
    ) -> Result<Kept, Problem> {
        let leaf = signer
            .issue_of(wanted.kind, &wanted.names, &wanted.addresses, now)
            .map_err(failed)?;
        let kept = Kept {
            names: wanted.names.clone(),
            addresses: wanted.addresses.clone(),
            chain_pem: leaf.chain_pem,
            key_pem: leaf.key_pem,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
        };
        let bytes =
            serde_json::to_vec(&kept).map_err(|error| Problem::of(Kind::Serialization, &error))?;
        self.secrets
            .put(LEAVES, key, &Secret::new(bytes))
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        Ok(kept)
    }

    /// Forgets the leaf kept under `key`.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn forget(&self, key: &str) -> Result<(), Problem> {
        self.secrets
            .delete(LEAVES, key)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        Ok(())
    }
}

/// The beginning of the keys of leaves that this service asked for.
fn asked_by(service: &str) -> String {
    format!("{ASKED}{service} ")
}

fn failed(error: CaError) -> Problem {
    Problem::of(Kind::OpenSsl, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    /// An authority made at `born`, in the folder's store.
    fn leaves(folder: &std::path::Path, born: Wall) -> Leaves {
        let authority = Authority::create("Coppice test Root CA", born).unwrap();
        Leaves {
            below: authority
                .subordinate("Coppice test Services CA", born)
                .unwrap(),
            authority,
            secrets: SecretStore::open(folder).unwrap(),
        }
    }

    fn at(days: i64) -> Wall {
        Wall::from_millis(1_800_000_000_000 + days * DAY)
    }

    #[test]
    fn a_clock_behind_the_authority_neither_replaces_a_leaf_nor_keeps_one_from_being_issued() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let own = names(&["hello-coppice.local"]);
        let first = leaves.certificate("hello", &own, &[], at(5)).unwrap();
        let long_ago = Wall::from_millis(0);
        assert_eq!(
            leaves.certificate("hello", &own, &[], long_ago).unwrap(),
            first
        );
        let other = names(&["other-coppice.local"]);
        let made = leaves.certificate("other", &other, &[], long_ago).unwrap();
        assert_eq!(made.names, other);
        // Once the clock is right, the leaf is as good as any of its age.
        assert_eq!(
            leaves.certificate("other", &other, &[], at(5)).unwrap(),
            made
        );
    }

    #[test]
    fn a_leaf_that_cannot_be_replaced_is_used_on() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let own = names(&["hello-coppice.local"]);
        let first = leaves.certificate("hello", &own, &[], at(1)).unwrap();
        let after_the_root = at(3_700);
        assert_eq!(
            leaves
                .certificate("hello", &own, &[], after_the_root)
                .unwrap(),
            first
        );
        let never = leaves.certificate("other", &own, &[], after_the_root);
        assert!(never.is_err());
    }

    #[test]
    fn a_leaf_is_replaced_when_two_thirds_of_its_life_are_over_or_its_names_change() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let own = names(&["hello-coppice.local"]);
        let first = leaves.certificate("hello", &own, &[], at(1)).unwrap();
        assert_eq!(
            leaves.certificate("hello", &own, &[], at(200)).unwrap(),
            first
        );
        assert_ne!(
            leaves.certificate("hello", &own, &[], at(300)).unwrap(),
            first
        );
        let more = names(&["hello-coppice.local", "hello.startos"]);
        let renamed = leaves.certificate("hello", &more, &[], at(301)).unwrap();
        assert_eq!(renamed.names, more);
    }

    #[test]
    fn the_same_set_of_names_gives_whoever_asks_the_same_chain_of_three() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let wanted = |list: &[&str]| Wanted::of(&names(list), KeyKind::Ecdsa);
        let first = leaves
            .asked("lnd", &wanted(&["lnd.startos", "10.0.16.2"]), at(1))
            .unwrap();
        let again = leaves
            .asked(
                "rtl",
                &wanted(&["10.0.16.2", "LND.startos", "lnd.startos"]),
                at(2),
            )
            .unwrap();
        assert_eq!(first, again);
        assert_eq!(first.chain.len(), 3);
        assert!(first.chain.iter().all(|one| one.ends_with("-----\n")));
        let other = Wanted::of(&names(&["lnd.startos", "10.0.16.2"]), KeyKind::Ed25519);
        assert_ne!(leaves.asked("lnd", &other, at(2)).unwrap(), first);
        leaves.forget_asked("lnd").unwrap();
        assert_ne!(
            leaves
                .asked("lnd", &wanted(&["lnd.startos", "10.0.16.2"]), at(2))
                .unwrap(),
            first
        );
    }

    #[test]
    fn who_watches_a_certificate_hears_when_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let wanted = Wanted::of(&names(&["lnd.startos"]), KeyKind::Ecdsa);
        let first = leaves.asked("lnd", &wanted, at(1)).unwrap();
        assert!(!leaves.is_due(&wanted, at(200)).unwrap());
        assert!(leaves.is_due(&wanted, at(300)).unwrap());
        assert_ne!(leaves.asked("lnd", &wanted, at(300)).unwrap(), first);
        assert!(!leaves.is_due(&wanted, at(300)).unwrap());
    }

    #[test]
    fn a_service_that_asks_for_ever_new_sets_of_names_is_refused_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let leaves = leaves(folder.path(), at(0));
        let ask = |service: &str, at_: usize| {
            let wanted = Wanted::of(&[format!("10.0.16.{at_}")], KeyKind::Ecdsa);
            leaves.asked(service, &wanted, at(1))
        };
        for one in 0..MOST_ASKED {
            ask("greedy", one).unwrap();
        }
        let refused = ask("greedy", MOST_ASKED).unwrap_err().to_string();
        assert!(
            refused.contains("greedy") && refused.contains("64"),
            "{refused}"
        );
        ask("greedy", 0).unwrap();
        ask("modest", MOST_ASKED).unwrap();
    }
}
