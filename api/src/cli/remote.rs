//! A server on another machine: HTTPS, trusting one root certificate, and somebody who signed in or holds a token.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use hyper::{HeaderMap, header};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    Common,
    client::{Connection, NoAnswer},
    sessions::{Known, Sessions},
};

/// How long a connection may take to be there, encryption included.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// Where most systems keep the roots that everybody trusts, and those that their owner added.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Where a server is, as `https://name[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: String,
    pub(super) port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no address of a server; it looks like https://coppice.local or https://coppice.local:8443"
            )
        };
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // An IPv6 address has colons of its own, and stands in brackets.
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse().map_err(|_| wrong())?)
            }
            _ => (rest, 443),
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_name = ServerName::try_from(bare.to_owned()).is_ok();
        if !is_name || port == 0 || (bare.contains(':') && bare == name) {
            return Err(wrong());
        }
        Ok(Self {
            name: bare.to_ascii_lowercase(),
            port,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl Address {
    /// As a `Host` header has it.
    fn authority(&self) -> String {
        let name = if self.name.contains(':') {
            format!("[{}]", self.name)
        } else {
            self.name.clone()
        };
        match self.port {
            443 => name,
            port => format!("{name}:{port}"),
        }
    }
}

/// A way to a server on another machine.
#[derive(Clone)]
pub(super) struct Remote {
    address: Address,
    /// Where to connect to, when that is not what the name says.
    at: (String, u16),
    tls: Arc<ClientConfig>,
    /// The header that says who we are.
    credential: Option<(header::HeaderName, header::HeaderValue)>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the credential.
        f.debug_tuple("Remote").field(&self.address).finish()
    }
}

impl Remote {
    /// The server at `address`, as whom the token in the environment or the last login says.
    pub(super) fn of(common: &Common, address: &Address) -> anyhow::Result<Self> {
        let known = match Sessions::of_user().and_then(|sessions| sessions.read()) {
            Ok(mut all) => all.remove(&address.to_string()),
            // Automation has a token, and often no home.
            Err(_) if token().is_some() => None,
            Err(error) => return Err(error),
        };
        Self::new(common, address, known.unwrap_or_default())
    }

    /// The same, as whom `known` says.
    pub(super) fn new(common: &Common, address: &Address, known: Known) -> anyhow::Result<Self> {
        let ca = match &common.ca {
            Some(file) => Some(
                std::fs::read_to_string(file)
                    .with_context(|| format!("`{}` cannot be read", file.display()))?,
            ),
            None => known.ca,
        };
        let credential = match (token(), known.session) {
            (Some(token), _) => Some((header::AUTHORIZATION, format!("Bearer {token}"))),
            (None, Some(session)) => Some((header::COOKIE, format!("session={session}"))),
            (None, None) => None,
        };
        let credential = credential.map(|(name, text)| {
            let mut value = header::HeaderValue::from_str(&text)
                .context("the token in COPPICE_TOKEN has signs in it that no token has")?;
            value.set_sensitive(true);
            anyhow::Ok((name, value))
        });
        let at = match common.address.as_deref() {
            None => (address.name.clone(), address.port),
            Some(at) => place(at, address.port),
        };
        Ok(Self {
            at,
            tls: trusting(ca.as_deref())?,
            credential: credential.transpose()?,
            address: address.clone(),
        })
    }

    pub(super) async fn connect(&self) -> anyhow::Result<Box<dyn Connection>> {
        let to = format!("{}:{}", self.at.0, self.at.1);
        let connecting = async {
            let stream = TcpStream::connect((self.at.0.as_str(), self.at.1)).await?;
            // Small requests and answers take turns.
            stream.set_nodelay(true)?;
            let name =
                ServerName::try_from(self.address.name.clone()).map_err(std::io::Error::other)?;
            TlsConnector::from(Arc::clone(&self.tls))
                .connect(name, stream)
                .await
        };
        let connected = timeout(CONNECT_WITHIN, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        Ok(Box::new(connected.map_err(|error| {
            let next = if is_untrusted(&error) {
                "give the server's root certificate with --ca FILE (`http://<its name>/ca.crt`, or ca.crt in its data folder)"
            } else {
                "look whether it runs, and whether --host says where (--address, if its name cannot be looked up)"
            };
            anyhow::Error::new(error).context(NoAnswer(format!("no connection to {to}; {next}")))
        })?))
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(host) = self.address.authority().parse() {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(AGENT));
        if let Some((name, value)) = &self.credential {
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

/// What a list of sessions calls us.
const AGENT: &str = concat!("coppice/", env!("CARGO_PKG_VERSION"));

/// The token that automation is given.
fn token() -> Option<String> {
    let token = std::env::var(super::TOKEN).ok()?;
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// `192.168.1.5`, `192.168.1.5:8443`, `[fe80::1]:443`, `a.name`.
fn place(text: &str, port: u16) -> (String, u16) {
    if let Ok(whole) = text.parse::<std::net::SocketAddr>() {
        return (whole.ip().to_string(), whole.port());
    }
    match text.rsplit_once(':') {
        Some((name, own)) if !name.contains(':') => match own.parse() {
            Ok(own) => (name.to_owned(), own),
            Err(_) => (text.to_owned(), port),
        },
        _ => (
            text.trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port,
        ),
    }
}

fn is_untrusted(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Trusts this root, or without one those that the system trusts.
fn trusting(ca: Option<&str>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let pem = match ca {
        Some(pem) => pem.to_owned(),
        None => SYSTEM_ROOTS
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok())
            .unwrap_or_default(),
    };
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        // Of a system's roots one may be of a kind that is not understood; the others are.
        let _ = certificate.map(|one| roots.add(one));
    }
    // A system that trusts nobody is told so by whom it connects to.
    ensure!(
        ca.is_none() || !roots.is_empty(),
        "there is no certificate in what --ca names; it looks like `-----BEGIN CERTIFICATE-----`"
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_over_https_and_perhaps_a_port() {
        for (text, name, port) in [
            ("https://coppice.local", "coppice.local", 443),
            ("https://Coppice.local/", "coppice.local", 443),
            ("https://coppice.local:8443", "coppice.local", 8443),
            ("https://192.168.1.5:8443", "192.168.1.5", 8443),
            ("https://[fd00::1]", "fd00::1", 443),
            ("https://[fd00::1]:8443/", "fd00::1", 8443),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.name.as_str(), address.port),
                (name, port),
                "{text}"
            );
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
        for bad in [
            "http://coppice.local",
            "coppice.local",
            "https://",
            "https://a b",
            "https://a/b",
            "https://a:0",
            "https://a:99999",
            "https://fd00::1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_to_connect_to_may_have_a_port_of_its_own() {
        for (text, name, port) in [
            ("192.168.1.5", "192.168.1.5", 443),
            ("192.168.1.5:8443", "192.168.1.5", 8443),
            ("fd00::1", "fd00::1", 443),
            ("[fd00::1]", "fd00::1", 443),
            ("[fd00::1]:8443", "fd00::1", 8443),
            ("a.name:8443", "a.name", 8443),
        ] {
            assert_eq!(place(text, 443), (name.to_owned(), port), "{text}");
        }
    }

    /// A server that answers each call with the headers that it came with; and its certificate, in a file.
    async fn mirror() -> (std::net::SocketAddr, tempfile::NamedTempFile) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["coppice.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust us hangs up.
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mirror = hyper::service::service_fn(|request: hyper::Request<_>| async move {
                    let _: &hyper::body::Incoming = request.body();
                    let said = |name| {
                        let value = request
                            .headers()
                            .get(name)
                            .map(|value| value.to_str().unwrap());
                        value.map(str::to_owned)
                    };
                    let result = serde_json::json!({
                        "host": said(header::HOST), "cookie": said(header::COOKIE), "agent": said(header::USER_AGENT),
                    });
                    let answer = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "result": result });
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(answer.to_string()))
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), mirror);
                // The client may hang up when it has its answer.
                let _ = served.await;
            }
        });
        (at, file)
    }

    #[tokio::test]
    async fn a_call_reaches_the_server_that_is_trusted_with_the_session_that_is_known() {
        let (at, ca) = mirror().await;
        let common = Common {
            address: Some(at.to_string()),
            ca: Some(ca.path().to_owned()),
            ..Common::default()
        };
        let known = Known {
            session: Some("abc234".into()),
            ca: None,
        };
        let address: Address = "https://coppice.test:8443".parse().unwrap();
        let remote = Remote::new(&common, &address, known.clone()).unwrap();
        let seen = super::super::client::Client::there(remote)
            .call("echo", serde_json::json!({}))
            .await
            .unwrap();
        assert_eq!(seen["host"], "coppice.test:8443");
        assert_eq!(seen["cookie"], "session=abc234");
        assert_eq!(seen["agent"], AGENT);
        // A server of another name, or whose certificate nobody vouches for, hears nothing of the session.
        let other: Address = "https://other.test:8443".parse().unwrap();
        let (_, stranger) = mirror().await;
        let distrusting = Common {
            ca: Some(stranger.path().to_owned()),
            ..common.clone()
        };
        for (common, address) in [(&common, &other), (&distrusting, &address)] {
            let remote = Remote::new(common, address, known.clone()).unwrap();
            let refused = remote.connect().await.err().unwrap();
            assert!(refused.is::<NoAnswer>(), "{refused:#}");
            assert!(refused.to_string().contains("--ca FILE"), "{refused:#}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_from_one_that_is_not_trusted() {
        let (_, ca) = mirror().await;
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let common = Common {
            address: Some(gone.local_addr().unwrap().to_string()),
            ca: Some(ca.path().to_owned()),
            ..Common::default()
        };
        drop(gone);
        let address = "https://coppice.test".parse().unwrap();
        let remote = Remote::new(&common, &address, Known::default()).unwrap();
        let refused = remote.connect().await.err().unwrap();
        assert!(
            refused.to_string().contains("whether it runs"),
            "{refused:#}"
        );
    }

    #[test]
    fn what_has_no_certificate_in_it_is_not_trusted_silently() {
        assert!(trusting(Some("no certificate")).is_err());
    }
}
