//! The server's certificate authority and the leaves it has issued.
//!
//! Invariants: the authority's key is in the secret store and in this process, nowhere else; a set
//! of names has one leaf until two thirds of its life are over, across restarts.

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
    /// # Errors
    /// When the secret store fails or a name cannot stand in a certificate.
    pub fn certificate(
        &self,
        key: &str,
        names: &[String],
        addresses: &[IpAddr],
        now: Wall,
    ) -> Result<Certificate, Problem> {
        let kept = self.kept(key)?;
        let good = kept.filter(|kept| {
            kept.names == names
                && kept.addresses == addresses
                && matches!(
                    renewal(kept.not_before, kept.not_after, now),
                    Renewal::Keep { .. }
                )
        });
        let leaf = match good {
            Some(kept) => kept,
            None => self.issue(key, names, addresses, now)?,
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
