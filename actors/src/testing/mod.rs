//! A server without a machine: the product's own document, jobs and service trees, over containers that
//! exist in memory only and in which a puppet speaks the agent's and the runtime's part.
//!
//! A life of the core can be cut at any durable write: nothing after it is written any more, which is what
//! a kill leaves behind. The next life begins with what is on the disk, and with the containers, which go
//! on living. Needs root, because a service is known by its user id.

mod fuse;
mod house;
mod inhabited;
mod line;
mod passed_on;
mod puppet;
mod scale;
mod seedling;
mod sim;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use coppice_containers::{Backend, HostLayout, Segment};
use patchdb::{Options, Store};
use serde_json::Value;

pub(crate) use self::{
    fuse::Fuse,
    house::{package, settle},
    inhabited::Inhabited,
    puppet::{Manners, Place, dial},
    sim::{
        exchange,
        machine::{dawdle, draw, is_simulated},
    },
};
use crate::{boot, document::Document, host::Host, jobs::Jobs};

/// The id of the package that tests install.
pub(crate) const ID: &str = "seedling";

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// How long a thread may be at its last work when a life ends.
const LAST_BREATH: Duration = Duration::from_secs(30);

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
        let (outcome, host) = runtime.block_on(async {
            let fuse = Fuse::new();
            let jobs = self.core(Arc::clone(&fuse)).await;
            let host = Arc::clone(&jobs.host);
            boot::tidy(&jobs.host).await;
            boot::bring_up(&jobs).await;
            fuse.light(writes);
            let work = tokio::spawn(work(jobs));
            let outcome = tokio::select! {
                done = work => Some(done.unwrap()),
                () = fuse.blown() => None,
            };
            (outcome, host)
        });
        // What a thread is at it ends, and nothing after it.
        runtime.shutdown_timeout(LAST_BREATH);
        // Services and the server know one another: nothing of either would ever go.
        for service in host.services() {
            host.remove_service(&service.id);
        }
        drop(host);
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
        house::grow(&host).await.0.in_haste()
    }
}

/// A server with the data folder of `layout`, without a forest.
pub(crate) fn open_host(
    layout: HostLayout,
    backend: Arc<dyn Backend>,
    fuse: Arc<Fuse>,
    options: Options,
) -> Arc<Host> {
    let store = Store::open(layout.data.join("state"), options).unwrap();
    house::host(layout, backend, Document::new(store).with_fuse(fuse))
}

/// A document without a server, for as long as its folder is kept.
pub(crate) fn document() -> (Document, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (Document::new(store), folder)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, wait).await;
    assert!(waited.is_ok(), "{what}: not so after {LONG:?}");
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
