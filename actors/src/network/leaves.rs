//! The server's certificate authority and the leaves it has issued.
//!
//! Invariants: the authority's key is in the secret store and in this process, nowhere else; a set
//! of names has one leaf until two thirds of its life are over, across restarts. A leaf that cannot
//! be replaced is used on: an old certificate is better than none.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use coppice_clock::Wall;
use coppice_net::{
    ca::{Authority, CaError, Renewal, renewal},
    table::{Certificate, KeyPem},
};
use patchdb::{Secret, SecretStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem};

const NAMESPACE: &str = "ca";
const LEAVES: &str = "leaves";

/// The authority and its leaves.
pub struct Leaves {
    authority: Authority,
    secrets: SecretStore,
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
        let authority = match (stored("root-cert")?, stored("root-key")?) {
            (Some(cert), Some(key)) => {
                Authority::from_pem(&cert, &KeyPem::new(key)).map_err(failed)?
            }
            _ => {
                let name = format!("Coppice {server_id} Root CA");
                let made = Authority::create(&name, Wall::now()).map_err(failed)?;
                let keep = |name: &str, text: &str| {
                    secrets
                        .put(NAMESPACE, name, &Secret::new(text))
                        .map_err(|error| Problem::of(Kind::Database, &error))
                };
                // The certificate last: a crash in between leaves a key that the next start replaces.
                keep("root-key", made.key_pem().expose())?;
                keep("root-cert", made.cert_pem())?;
                made
            }
        };
        Ok(Self { authority, secrets })
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
        let kept = self.kept(key)?;
        let clock_is_behind = now < self.authority.not_before();
        let is_good = kept.as_ref().is_some_and(|kept| {
            let age = renewal(kept.not_before, kept.not_after, now);
            kept.names == names
                && kept.addresses == addresses
                && (clock_is_behind || matches!(age, Renewal::Keep { .. }))
        });
        let leaf = match kept {
            Some(kept) if is_good => kept,
            kept => {
                let now = now.max(self.authority.not_before());
                match (self.issue(key, names, addresses, now), kept) {
                    (Ok(new), _) => new,
                    (Err(problem), Some(old)) => {
                        tracing::warn!(leaf = key, %problem, "a certificate was not replaced; the old one is used on");
                        old
                    }
                    (Err(problem), None) => return Err(problem),
                }
            }
        };
        let mut shown_for = leaf.names;
        shown_for.extend(leaf.addresses.iter().map(IpAddr::to_string));
        Ok(Certificate {
            names: shown_for,
            chain_pem: leaf.chain_pem,
            key_pem: leaf.key_pem,
        })
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
        names: &[String],
        addresses: &[IpAddr],
        now: Wall,
    ) -> Result<Kept, Problem> {
        let leaf = self
            .authority
            .issue(names, addresses, now)
            .map_err(failed)?;
        let kept = Kept {
            names: names.to_vec(),
            addresses: addresses.to_vec(),
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
}
