//! A server without a machine: the product's own document, jobs and service trees, over containers that
//! exist in memory only and in which a puppet speaks the agent's and the runtime's part.
//!
//! A life of the core can be cut at any durable write: nothing after it is written any more, which is what
//! a kill leaves behind. The next life begins with what is on the disk, and with the containers, which go
//! on living. Needs root, because a service is known by its user id.

mod fuse;
mod inhabited;
mod line;
mod puppet;
mod scale;
mod sim;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use coppice_containers::{Backend, HostLayout, Segment};
use coppice_net::subnet::Subnet;
use coppice_s9pk::{Content, Draft};
use coppice_supervision::{ChildSpec, Supervisor, SupervisorSpec};
use ed25519_dalek::SigningKey;
use patchdb::{Options, SecretStore, Store};
use serde_json::{Value, json};

pub(crate) use self::{
    fuse::Fuse,
    inhabited::Inhabited,
    puppet::{Manners, Place, dial},
    sim::{
        exchange,
        machine::{dawdle, draw, is_simulated},
    },
};
use crate::{
    boot,
    document::Document,
    forest,
    host::{Host, Parts},
    jobs::Jobs,
    network::{Leaves, Listening, Network},
    packages::Packages,
    reserve::Reserve,
};

/// The id of the package that tests install.
pub(crate) const ID: &str = "seedling";

/// What outlives a life of the core: the disk and the containers.
pub(crate) struct World {
    folder: tempfile::TempDir,
    lives: u32,
    pub(crate) containers: Arc<Inhabited>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Users of containers come through here to the socket.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let world = Self {
            folder,
            lives: 0,
            containers: Inhabited::new(),
        };
        for name in ["base", "services", "state", "secrets", "store"] {
            fs::create_dir_all(world.data().join(name)).unwrap();
        }
        world
    }

    fn layout(&self) -> HostLayout {
        HostLayout {
            run: self.folder.path().join("run"),
            ..HostLayout::new(Segment::new("abcdef").unwrap(), self.data())
        }
    }

    /// The data folder of this life.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join(format!("data-{}", self.lives))
    }

    /// A package file whose `init`, as the puppet plays it, succeeds.
    pub(crate) fn package(&self) -> PathBuf {
        self.package_of("1.0.0:0", |_| {})
    }

    /// The same of another version, with a manifest that is `changed`.
    pub(crate) fn package_of(&self, version: &str, changed: impl FnOnce(&mut Value)) -> PathBuf {
        let file = self.folder.path().join(format!("seedling-{version}.s9pk"));
        fs::write(&file, package(ID, version, changed)).unwrap();
        file
    }

    /// Runs `work` in a core of its own, until it is done or `writes` durable changes were made. `None` when
    /// it was cut there.
    pub(crate) fn live<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &mut self,
        writes: Option<u32>,
        work: impl FnOnce(Jobs) -> F,
    ) -> Option<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let outcome = runtime.block_on(async {
            let fuse = Fuse::new();
            let jobs = self.core(Arc::clone(&fuse)).await;
            boot::tidy(&jobs.host).await;
            boot::bring_up(&jobs).await;
            fuse.light(writes);
            let work = tokio::spawn(work(jobs));
            tokio::select! {
                done = work => Some(done.unwrap()),
                () = fuse.blown() => None,
            }
        });
        runtime.shutdown_background();
        self.next_disk();
        outcome
    }

    /// What is on the disk now, as another process would find it.
    fn next_disk(&mut self) {
        let before = self.data();
        self.lives += 1;
        let copied = Command::new("cp")
            .args(["--archive", "--sparse=always"])
            .args([&before, &self.data()])
            .status();
        assert!(copied.unwrap().success());
    }

    async fn core(&self, fuse: Arc<Fuse>) -> Jobs {
        let options = Options::default();
        let backend = Arc::clone(&self.containers) as _;
        let host = open_host(self.layout(), backend, fuse, options);
        settle(&host).await;
        let spec = SupervisorSpec::rest_for_one("core")
            .child(ChildSpec::supervisor(forest::services()))
            .child(ChildSpec::supervisor(forest::jobs()));
        let (root, _ended) = Supervisor::start(spec).await.unwrap();
        let jobs = Jobs::below(&Supervisor::new(root), host).await.unwrap();
        jobs.in_haste()
    }
}

/// The choices of a first start, and what the server says of itself.
async fn settle(host: &Host) {
    if host.document.server().is_none() {
        let subnet = host.network.subnet;
        boot::settle(&host.document, subnet).await.unwrap();
    }
    let (short, name) = (host.layout.short.as_str(), &host.network.hostname);
    boot::write_server_info(&host.document, &host.network, &host.leaves, short, name)
        .await
        .unwrap();
}

/// A server with the data folder of `layout`, without a forest.
pub(crate) fn open_host(
    layout: HostLayout,
    backend: Arc<dyn Backend>,
    fuse: Arc<Fuse>,
    options: Options,
) -> Arc<Host> {
    let data = layout.data.clone();
    let store = Store::open(data.join("state"), options).unwrap();
    let secrets = SecretStore::open(data.join("secrets")).unwrap();
    let document = Document::new(store).with_fuse(fuse);
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
    })
}

/// A signed package with all its parts, none of which is ever mounted. Its JavaScript says which version it is.
fn package(id: &str, version: &str, changed: impl FnOnce(&mut Value)) -> Vec<u8> {
    let arch = std::env::consts::ARCH;
    let mut manifest = json!({
        "id": id,
        "version": version,
        "canMigrateTo": "*",
        "canMigrateFrom": "*",
        "title": "Seedling",
        "description": { "short": "Small", "long": "Small and young" },
        "releaseNotes": "Sown.",
        "license": "MIT",
        "upstreamRepo": "https://example.com/seedling",
        "images": { "main": { "source": "packed", "arch": [arch], "emulateMissingAs": null } },
        "volumes": ["main"],
        "hardwareRequirements": { "device": [], "ram": null, "arch": [arch] },
    });
    changed(&mut manifest);
    let javascript = format!("hsqs {version}");
    let mut draft = Draft::new();
    for (path, body) in [
        ("manifest.json", manifest.to_string().as_bytes()),
        ("icon.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("LICENSE.md", b"MIT"),
        ("instructions.md", b"Water it.".as_slice()),
        ("javascript.squashfs", javascript.as_bytes()),
        (&format!("images/{arch}/main.squashfs"), b"hsqs, too"),
        (&format!("images/{arch}/main.json"), b"{}"),
        (&format!("images/{arch}/main.env"), b""),
    ] {
        draft.insert(path, Content::Bytes(body.to_vec())).unwrap();
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

/// Every file and folder below `folder`, seen from there.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                ahead.push(path.clone());
            }
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}
