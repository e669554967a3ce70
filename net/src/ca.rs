//! The server's own certificate authority.
//!
//! Invariant: whoever holds an [`Authority`] can sign for any name, so it lives in the core only;
//! the edge is handed leaves. Nothing here reads a clock or a file: the caller passes `now` and
//! keeps the PEM texts (the key among the secrets).
//!
//! The root may sign at most one level of further authorities (path length 1). It signs the edge's
//! leaves itself; the leaves that packages show are signed by an authority below it, because the
//! packages' contract promises a chain of three. It has no name constraints: users add domains of
//! their own later.

mod renewal;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use coppice_clock::Wall;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::table::{KeyPem, is_host_name};

pub use renewal::{Reason, Renewal, renewal};

const DAY: Duration = Duration::from_secs(86_400);

/// How long a root is valid: ten years of 365 days, so never more than ten on the calendar.
const ROOT_DAYS: u32 = 3650;

/// How long a leaf is valid, the day of [`BACKDATED`] included. Browsers refuse more than 398 days
/// for public authorities and Apple 825 for private ones; 397 is what careful issuers keep to.
const LEAF_DAYS: u32 = 397;

/// Certificates start a day before they are made: clocks in a home differ, and a phone that is an
/// hour behind should not call a new service untrusted.
const BACKDATED: u32 = 1;

/// Why the authority could not be made, loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A stored certificate or key that is not one.
    #[error("the stored root {what} cannot be read; restore it from a backup, or make a new root")]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// Why, when the parser says.
        #[source]
        source: Option<rcgen::Error>,
    },
    /// The stored key is another certificate's.
    #[error(
        "the stored root key does not belong to the stored root certificate; restore both from the same backup"
    )]
    KeyMismatch,
    /// The stored certificate may not sign others.
    #[error("the stored root certificate is not an authority")]
    NotAnAuthority,
    /// No name and no address.
    #[error("a certificate needs at least one name or address")]
    NoNames,
    /// A name that cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate; use lower-case letters, digits, `-` and dots")]
    Name {
        /// The name.
        name: String,
    },
    /// The root's own time is over, or has not come.
    #[error(
        "the root certificate is valid from {from} to {until}, and now it is {now}; check the clock, then make a new root"
    )]
    RootNotValid {
        /// First moment.
        from: Wall,
        /// Last moment.
        until: Wall,
        /// The moment given.
        now: Wall,
    },
    /// Signing failed.
    #[error("could not sign a certificate")]
    Sign(#[source] rcgen::Error),
}

/// What kind of key a leaf has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256, which every client knows.
    #[default]
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        KeyPair::generate_for(match self {
            Self::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            Self::Ed25519 => &PKCS_ED25519,
        })
    }
}

/// A certificate that may sign others, with its key: the root, or the one below it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert_pem: String,
    not_before: Wall,
    not_after: Wall,
}

/// A leaf the edge may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The leaf, then the authority that signed it, PEM.
    pub chain_pem: String,
    /// Its own key, PKCS#8 PEM; every leaf has a new one.
    pub key_pem: KeyPem,
    /// First moment it is valid.
    pub not_before: Wall,
    /// Last moment it is valid.
    pub not_after: Wall,
}

impl Authority {
    /// Makes a new P-256 root that calls itself `name`, valid for ten years.
    ///
    /// Two roots should never share a name: browsers look issuers up by it.
    ///
    /// # Errors
    /// [`CaError::Sign`] when the system has no randomness to give.
    pub fn create(name: &str, now: Wall) -> Result<Self, CaError> {
        let mut params = authority_params(name, 1);
        let not_before = shift(now, BACKDATED, Direction::Back);
        let not_after = shift(not_before, ROOT_DAYS, Direction::On);
        params.not_before = at(not_before).into();
        params.not_after = at(not_after).into();
        let key = KeyPair::generate().map_err(CaError::Sign)?;
        let cert_pem = params.self_signed(&key).map_err(CaError::Sign)?.pem();
        Self::from_pem(&cert_pem, &KeyPem::new(key.serialize_pem()))
    }

    /// Makes an authority below this one that calls itself `name`, valid as long as this one.
    ///
    /// # Errors
    /// [`CaError::Sign`], also when this one may not sign authorities.
    pub fn subordinate(&self, name: &str, now: Wall) -> Result<Self, CaError> {
        let mut params = authority_params(name, 0);
        params.use_authority_key_identifier_extension = true;
        let not_before = shift(now, BACKDATED, Direction::Back).max(self.not_before);
        params.not_before = at(not_before).into();
        params.not_after = at(self.not_after).into();
        let key = KeyPair::generate().map_err(CaError::Sign)?;
        let signed = params
            .signed_by(&key, &self.issuer)
            .map_err(CaError::Sign)?;
        Self::from_pem(&signed.pem(), &KeyPem::new(key.serialize_pem()))
    }

    /// Loads an authority from what [`Authority::cert_pem`] and [`Authority::key_pem`] gave.
    ///
    /// # Errors
    /// When either text is unreadable, they do not belong together, or the certificate is not an
    /// authority.
    pub fn from_pem(cert_pem: &str, key_pem: &KeyPem) -> Result<Self, CaError> {
        let unreadable = |what, source| CaError::Unreadable { what, source };
        let key = KeyPair::from_pem(key_pem.expose()).map_err(|e| unreadable("key", Some(e)))?;
        let der = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|_| unreadable("certificate", None))?;
        let (_, cert) = x509_parser::parse_x509_certificate(&der)
            .map_err(|_| unreadable("certificate", None))?;
        if !cert.is_ca() {
            return Err(CaError::NotAnAuthority);
        }
        if cert.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(CaError::KeyMismatch);
        }
        let validity = cert.validity();
        let moment = |seconds: i64| Wall::from_millis(seconds.saturating_mul(1000));
        let (not_before, not_after) = (
            moment(validity.not_before.timestamp()),
            moment(validity.not_after.timestamp()),
        );
        let issuer =
            Issuer::from_ca_cert_der(&der, key).map_err(|e| unreadable("certificate", Some(e)))?;
        Ok(Self {
            issuer,
            cert_pem: cert_pem.to_owned(),
            not_before,
            not_after,
        })
    }

    /// The root certificate, PEM: what users trust.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The root key, PKCS#8 PEM: what nobody else may see.
    #[must_use]
    pub fn key_pem(&self) -> KeyPem {
        KeyPem::new(self.issuer.key().serialize_pem())
    }

    /// First moment the root is valid; no leaf is older.
    #[must_use]
    pub fn not_before(&self) -> Wall {
        self.not_before
    }

    /// Last moment the root is valid; leaves never outlive it.
    #[must_use]
    pub fn not_after(&self) -> Wall {
        self.not_after
    }

    /// Signs a server certificate for `names` and `ips`, valid for at most 397 days from a day
    /// before `now`.
    ///
    /// # Errors
    /// [`CaError::NoNames`], [`CaError::Name`], [`CaError::RootNotValid`].
    pub fn issue(&self, names: &[String], ips: &[IpAddr], now: Wall) -> Result<Leaf, CaError> {
        self.issue_of(KeyKind::default(), names, ips, now)
    }

    /// As [`Authority::issue`], with a key of this kind.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_of(
        &self,
        kind: KeyKind,
        names: &[String],
        ips: &[IpAddr],
        now: Wall,
    ) -> Result<Leaf, CaError> {
        if now.as_millis() < self.not_before.as_millis()
            || now.as_millis() >= self.not_after.as_millis()
        {
            return Err(CaError::RootNotValid {
                from: self.not_before,
                until: self.not_after,
                now,
            });
        }
        let mut params = CertificateParams::default();
        params.subject_alt_names = subject_alt_names(names, ips)?;
        params.distinguished_name = DistinguishedName::new();
        // 64 characters is the most a common name may hold; the alternative names are what counts.
        if let Some(name) = names.iter().find(|name| name.len() <= 64) {
            params
                .distinguished_name
                .push(DnType::CommonName, name.as_str());
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let not_before = shift(now, BACKDATED, Direction::Back).max(self.not_before);
        let not_after = shift(not_before, LEAF_DAYS, Direction::On).min(self.not_after);
        params.not_before = at(not_before).into();
        params.not_after = at(not_after).into();
        let key = kind.generate().map_err(CaError::Sign)?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(CaError::Sign)?;
        Ok(Leaf {
            chain_pem: format!("{}{}", leaf.pem(), self.cert_pem),
            key_pem: KeyPem::new(key.serialize_pem()),
            not_before,
            not_after,
        })
    }
}

/// What every authority's certificate has; `below` levels of authorities may follow it.
fn authority_params(name: &str, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Coppice");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subject_alt_names(names: &[String], ips: &[IpAddr]) -> Result<Vec<SanType>, CaError> {
    if names.is_empty() && ips.is_empty() {
        return Err(CaError::NoNames);
    }
    let dns = names.iter().map(|name| {
        let bad = || CaError::Name { name: name.clone() };
        if !is_host_name(name) || name.parse::<IpAddr>().is_ok() {
            return Err(bad());
        }
        Ok(SanType::DnsName(
            name.as_str().try_into().map_err(|_| bad())?,
        ))
    });
    let ips = ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
    dns.chain(ips).collect()
}

enum Direction {
    Back,
    On,
}

/// A moment some days away, cut to whole seconds as certificates are.
fn shift(moment: Wall, days: u32, direction: Direction) -> Wall {
    let days = i64::from(days) * 86_400;
    let seconds = match direction {
        Direction::Back => moment.as_seconds() - days,
        Direction::On => moment.as_seconds() + days,
    };
    Wall::from_millis(seconds * 1000)
}

/// The same moment in the form rcgen's time type converts from; no clock is read.
fn at(moment: Wall) -> SystemTime {
    let seconds = u64::try_from(moment.as_seconds()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
