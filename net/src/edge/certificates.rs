//! The certificates of a table, ready to be shown.
//!
//! Invariant: a name has at most one certificate, and a client that names none, or one we do not
//! know, is shown the dashboard's. A certificate that did not change between two tables keeps its
//! TLS configuration, and with it the sessions clients may resume.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::table::Certificate;

/// A certificate that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("the certificate for `{names}` cannot be read; issue it again")]
    Unreadable {
        names: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the certificate for `{names}` and its key cannot be used; issue it again")]
    Unusable {
        names: String,
        #[source]
        source: rustls::Error,
    },
}

/// All certificates of a table by name.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    by_name: HashMap<String, Arc<Shown>>,
    default: Option<Arc<Shown>>,
}

/// One certificate and how it is shown to clients that speak HTTP, and to others.
#[derive(Debug)]
pub(super) struct Shown {
    source: Certificate,
    /// Offers HTTP/2 and HTTP/1.1.
    pub(super) http: Arc<ServerConfig>,
    /// Offers no protocol: whatever comes out of TLS is the service's matter.
    pub(super) raw: Arc<ServerConfig>,
}

/// Shows the certificate that was already chosen, together with the rest of the configuration, by
/// name; rustls asks again because configurations may hold many.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl Certificates {
    /// Parses `certificates`, taking over from `previous` what did not change. The default is the
    /// first one that covers one of `home`, else the first.
    pub(super) fn compile(
        certificates: &[Certificate],
        home: &[String],
        previous: &Self,
    ) -> Result<Self, CertificateError> {
        let mut compiled = Self::default();
        let provider = Arc::new(ring::default_provider());
        for certificate in certificates {
            let known = certificate
                .names
                .iter()
                .find_map(|name| previous.by_name.get(name))
                .filter(|shown| shown.source == *certificate);
            let shown = match known {
                Some(shown) => Arc::clone(shown),
                None => Arc::new(Shown::new(certificate, &provider)?),
            };
            for name in &certificate.names {
                compiled
                    .by_name
                    .entry(name.clone())
                    .or_insert_with(|| Arc::clone(&shown));
            }
            compiled.default.get_or_insert(shown);
        }
        if let Some(shown) = home.iter().find_map(|name| compiled.by_name.get(name)) {
            compiled.default = Some(Arc::clone(shown));
        }
        Ok(compiled)
    }

    /// What to show to a client that asked for `name`; `None` only without any certificate.
    pub(super) fn for_name(&self, name: &str) -> Option<&Arc<Shown>> {
        self.by_name.get(name).or(self.default.as_ref())
    }
}

impl Shown {
    fn new(
        certificate: &Certificate,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let names = || certificate.names.join(", ");
        let unreadable = |source| CertificateError::Unreadable {
            names: names(),
            source,
        };
        let unusable = |source| CertificateError::Unusable {
            names: names(),
            source,
        };
        let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| unreadable(Box::new(e)))?;
        if chain.is_empty() {
            return Err(unreadable("there is no certificate in it".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes())
            .map_err(|e| unreadable(Box::new(e)))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(unusable)?;
        let resolver = Arc::new(Chosen(Arc::new(certified)));
        let config = |protocols: &[&[u8]]| {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
                .with_protocol_versions(&[&TLS13, &TLS12])?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
            config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            Ok(Arc::new(config))
        };
        Ok(Self {
            source: certificate.clone(),
            http: config(&[b"h2", b"http/1.1"]).map_err(unusable)?,
            raw: config(&[]).map_err(unusable)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use coppice_clock::Wall;

    use super::*;
    use crate::ca::Authority;

    fn certificate(root: &Authority, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let leaf = root.issue(&names, &[], Wall::now()).unwrap();
        Certificate {
            names,
            chain_pem: leaf.chain_pem,
            key_pem: leaf.key_pem,
        }
    }

    #[test]
    fn unknown_names_are_shown_the_dashboards_certificate() {
        let root = Authority::create("test", Wall::now()).unwrap();
        let list = [
            certificate(&root, &["a.local"]),
            certificate(&root, &["willow.local"]),
        ];
        let home = ["willow.local".to_owned()];
        let all = Certificates::compile(&list, &home, &Certificates::default()).unwrap();
        assert_eq!(all.for_name("a.local").unwrap().source, list[0]);
        assert_eq!(all.for_name("nobody.local").unwrap().source, list[1]);
        assert!(Certificates::default().for_name("a.local").is_none());
    }

    #[test]
    fn an_unchanged_certificate_keeps_its_sessions_and_a_new_one_does_not() {
        let root = Authority::create("test", Wall::now()).unwrap();
        let one = [
            certificate(&root, &["a.local"]),
            certificate(&root, &["b.local"]),
        ];
        let two = [one[0].clone(), certificate(&root, &["b.local"])];
        let before = Certificates::compile(&one, &[], &Certificates::default()).unwrap();
        let after = Certificates::compile(&two, &[], &before).unwrap();
        let same = |name| Arc::ptr_eq(&before.by_name[name].http, &after.by_name[name].http);
        assert!(same("a.local"));
        assert!(!same("b.local"));
    }

    #[test]
    fn a_certificate_with_anothers_key_is_refused_by_name() {
        let root = Authority::create("test", Wall::now()).unwrap();
        let mut wrong = certificate(&root, &["a.local"]);
        wrong.key_pem = certificate(&root, &["b.local"]).key_pem;
        let refused = Certificates::compile(&[wrong], &[], &Certificates::default()).unwrap_err();
        assert!(refused.to_string().contains("`a.local`"), "{refused}");
    }
}
