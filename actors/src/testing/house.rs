//! The parts of a server without a machine that tests of other crates use, too: its host, its forest, a package.
//!
//! The crate `coppice-api` has this file in its tests by its path, so everything of ours is named from outside.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
};

use coppice_actors::{
    boot,
    document::Document,
    forest,
    host::{Host, Parts},
    jobs::Jobs,
    network::{Leaves, Listening, Network},
    packages::Packages,
    reserve::Reserve,
};
use coppice_containers::{Backend, HostLayout};
use coppice_net::subnet::Subnet;
use coppice_s9pk::{Content, Draft};
use coppice_supervision::{ChildSpec, Supervisor, SupervisorSpec};
use ed25519_dalek::SigningKey;
use patchdb::SecretStore;
use serde_json::Value;

use super::seedling;

/// The choices of a first start, and what the server says of itself.
pub(crate) async fn settle(host: &Host) {
    if host.document.server().is_none() {
        let subnet = host.network.subnet;
        boot::settle(&host.document, subnet).await.unwrap();
    }
    let (short, name) = (host.layout.short.as_str(), &host.network.hostname);
    boot::write_server_info(&host.document, &host.network, &host.leaves, short, name)
        .await
        .unwrap();
}

/// A server with this document and the data folder of `layout`, without a forest.
pub(crate) fn host(layout: HostLayout, backend: Arc<dyn Backend>, document: Document) -> Arc<Host> {
    let data = layout.data.clone();
    let secrets = SecretStore::open(data.join("secrets")).unwrap();
    let listening = Listening {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        http: 80,
        https: 443,
        dns: 53,
    };
    let (short, subnet) = (
        layout.short.as_str(),
        Subnet::choose(layout.short.as_str(), &[]).unwrap(),
    );
    let packages = Packages::open(&data.join("store"), &data.join("uploads"), document.clone());
    Host::new(Parts {
        packages: packages.unwrap(),
        document,
        leaves: Leaves::open(secrets.clone(), short).unwrap(),
        secrets,
        reserve: Reserve::in_folder(&data),
        backend,
        network: Network::new(
            subnet,
            layout.bridge.clone(),
            "coppice".to_owned(),
            listening,
        ),
        base_image: data.join("base/base.squashfs"),
        layer: data.join("base/layer"),
        layout,
        language: "en_US".to_owned(),
        sleep_after: None,
    })
}

/// The part of the forest in which services and jobs are.
pub(crate) async fn grow(host: &Arc<Host>) -> (Jobs, Supervisor) {
    let spec = SupervisorSpec::rest_for_one("core")
        .child(ChildSpec::supervisor(forest::services()))
        .child(ChildSpec::supervisor(forest::jobs()));
    let (root, _ended) = Supervisor::start(spec).await.unwrap();
    let root = Supervisor::new(root);
    let jobs = Jobs::below(&root, Arc::clone(host)).await.unwrap();
    (jobs, root)
}

/// A signed package with all its parts, none of which is ever mounted. Its JavaScript says which version it is.
pub(crate) fn package(id: &str, version: &str, changed: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = seedling::manifest(id, version);
    changed(&mut manifest);
    let image = format!("images/{}/main.squashfs", std::env::consts::ARCH);
    let made = [
        ("manifest.json".to_owned(), manifest.to_string()),
        ("javascript.squashfs".to_owned(), format!("hsqs {version}")),
        (image, "hsqs, too".to_owned()),
    ];
    let usual = seedling::files().map(|(path, body)| (path, body.to_owned()));
    let mut draft = Draft::new();
    for (path, body) in made.into_iter().chain(usual) {
        draft
            .insert(&path, Content::Bytes(body.into_bytes()))
            .unwrap();
    }
    let header = draft.sign(&SigningKey::from_bytes(&[7; 32]));
    let mut bytes = Vec::new();
    draft.write(&header, &mut bytes).unwrap();
    bytes
}

/// Which version lives in a container, as its JavaScript says.
pub(crate) fn version_in(javascript: &Path) -> String {
    let body = fs::read(javascript).unwrap_or_default();
    // What the store keeps is padded.
    let text = String::from_utf8_lossy(&body).into_owned();
    text.trim_start_matches("hsqs ")
        .trim_end_matches('\0')
        .to_owned()
}
