//! The edge as browsers, services and the core meet it.

mod dashboard;
mod services;
mod tables;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::net::{TcpStream, UnixListener};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    servers::{self, unix_listener},
    world::World,
};

/// A TLS connection to 127.0.0.1 on `port` as `name`, trusting the world's authority.
async fn tls(world: &World, name: &str, port: u16) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.root.cert_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(name.to_owned()).unwrap(), stream)
        .await
        .unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

async fn a_core(world: &World) -> tokio::task::JoinHandle<()> {
    let listener = unix_listener(&world.core_socket());
    servers::core(UnixListener::from_std(listener).unwrap())
}
