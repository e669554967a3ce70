//! From a data folder to a running forest.
//!
//! Order: stores, first-start choices, bridge, what a crash left behind, the forest, half-done jobs,
//! then one tree per installed service in the order of their dependence. Containers that run are
//! adopted by their trees; nothing here starts or stops a service.

use std::{path::PathBuf, sync::Arc, time::Duration};

use coppice_clock::Wall;
use coppice_containers::{Backend, HostLayout, Leftover, Segment};
use coppice_net::{
    bridge,
    subnet::{self, Subnet},
};
use coppice_supervision::{ChildSpec, Supervisor};
use patchdb::{Examiner, MakeRoom, Options, Recovery, SecretStore, Store};
use serde_json::json;

use crate::{
    base,
    coppice::{Coppice, in_start_order},
    document::Document,
    forest,
    host::{Host, Parts},
    ids,
    jobs::Jobs,
    model::{Cause, ReceiptOf, ServerInfo, ServerPrivate, ServerStatus, StateInfo},
    network::{Leaves, Listening, Network, Publish, Watch},
    observer,
    packages::Packages,
    problem::{Kind, Problem},
    reserve::Reserve,
    service::Event,
};

/// What packages take us for.
pub const STARTOS_COMPATIBLE: &str = "0.4.0";

/// What a core is started with.
pub struct Boot {
    /// Names and folders.
    pub layout: HostLayout,
    /// Looks the stores over before they are opened.
    pub examiner: Examiner,
    /// Makes containers.
    pub backend: Arc<dyn Backend>,
    /// Squashfs of the base root of every container.
    pub base_image: PathBuf,
    /// What is laid over the base: agent and runtime.
    pub layer: PathBuf,
    /// First label of the server's name.
    pub hostname: String,
    /// What the edge listens on.
    pub listening: Listening,
    /// As [`Host::sleep_after`].
    pub sleep_after: Option<Duration>,
    /// Hands listeners and table to the heart.
    pub publish: Publish,
}

/// A core that was opened and is about to be planted.
pub struct Opened {
    /// The server.
    pub host: Arc<Host>,
    publish: Publish,
}

impl Boot {
    /// Opens the stores and makes the choices of the first start.
    ///
    /// # Errors
    /// When a store cannot be opened, no subnet is free, or the bridge cannot be made.
    pub async fn open(self) -> Result<Opened, Problem> {
        let data = self.layout.data.clone();
        for folder in ["lxc", "mnt/img", "mnt/stage", "services"] {
            let folder = self.layout.run.join(folder);
            std::fs::create_dir_all(&folder).map_err(|error| {
                let folder = folder.display();
                Problem::new(
                    Kind::Filesystem,
                    format!("could not make `{folder}`: {error}; check that /run is writable"),
                )
            })?;
        }
        let reserve = Reserve::in_folder(&data);
        reserve.hold();
        let given_up = reserve.clone();
        let options = Options {
            make_room: MakeRoom::by(move || given_up.give_up()),
            examiner: Some(self.examiner.clone()),
            ..Options::default()
        };
        let store = Store::open(data.join("state"), options)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        let secrets = SecretStore::open_examined(data.join("secrets"), &self.examiner)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        let document = Document::new(store);
        let server = server(&document, self.layout.short.as_str()).await?;
        bridge::ensure(&self.layout.bridge, &server.subnet)
            .await
            .map_err(|error| Problem::of(Kind::Network, &error))?;
        let leaves = Leaves::open(secrets.clone(), self.layout.short.as_str())?;
        let network = Network::new(
            server.subnet,
            self.layout.bridge.clone(),
            self.hostname.clone(),
            self.listening,
        );
        write_server_info(
            &document,
            &network,
            &leaves,
            self.layout.short.as_str(),
            &self.hostname,
        )
        .await?;
        let packages =
            Packages::open(&data.join("store"), &data.join("uploads"), document.clone())?;
        let host = Host::new(Parts {
            document,
            secrets,
            reserve,
            packages,
            backend: self.backend,
            layout: self.layout,
            network,
            leaves,
            base_image: self.base_image,
            layer: self.layer,
            language: "en_US".to_owned(),
            sleep_after: self.sleep_after,
        });
        let recoveries = host.document.store().recoveries();
        let notices = recoveries.iter().map(put_back).collect();
        host.network
            .notices
            .show(&host.document, Watch::Store, notices)
            .await;
        Ok(Opened {
            host,
            publish: self.publish,
        })
    }
}

impl Opened {
    /// Grows the forest. `gateway` makes the child that serves the API once the server is known.
    ///
    /// # Errors
    /// When an actor of Coppice itself does not come up.
    pub async fn plant(
        self,
        gateway: impl FnOnce(tokio::sync::watch::Receiver<Option<Coppice>>) -> ChildSpec,
    ) -> Result<(Coppice, tokio::task::JoinHandle<()>), Problem> {
        let host = self.host;
        let dead = tidy(&host).await;
        sweep_base(&host).await;
        let (observe, events) = observer::channel(&host);
        let (known, knowing) = tokio::sync::watch::channel(None);
        let spec = forest::spec(&host, self.publish, gateway(knowing), observe);
        let (root, ended) = Supervisor::start(spec)
            .await
            .map_err(|error| Problem::of(Kind::Unknown, &error))?;
        let root = Supervisor::new(root);
        let jobs = Jobs::below(&root, Arc::clone(&host)).await?;
        let services = jobs.services.clone();
        tokio::spawn(observer::follow(Arc::clone(&host), services, events));
        let coppice = Coppice::new(jobs.clone(), root);
        known.send_replace(Some(coppice.clone()));
        bring_up(&jobs).await;
        record_deaths(&host, &dead).await;
        host.network.changed();
        let ended = tokio::spawn(async move {
            // How the root ended is in the log already; that it ended is what matters here.
            let _ = ended.await;
        });
        Ok((coppice, ended))
    }
}

/// What people are told of a store that was damaged.
fn put_back(recovery: &Recovery) -> String {
    format!(
        "On {} the server's state was found damaged ({}). It was put back to how it was on {}; what changed after that is lost. Look at the disk. The damaged file is in `{}`; remove that folder when nobody needs it any more.",
        recovery.at,
        recovery.reason,
        recovery.copy_of,
        recovery.kept.display(),
    )
}

/// The server's own choices: those it made before, or new ones.
async fn server(document: &Document, short: &str) -> Result<ServerPrivate, Problem> {
    if let Some(server) = document.server() {
        return Ok(server);
    }
    let taken = subnet::taken()
        .await
        .map_err(|error| Problem::of(Kind::Network, &error))?;
    let subnet =
        Subnet::choose(short, &taken).map_err(|error| Problem::of(Kind::Network, &error))?;
    settle(document, subnet).await
}

/// Makes the choices of a first start.
///
/// # Errors
/// When the store cannot write.
pub async fn settle(document: &Document, subnet: Subnet) -> Result<ServerPrivate, Problem> {
    let server = ServerPrivate {
        subnet,
        next_range: 0,
        ports: std::collections::BTreeMap::new(),
    };
    let kept = server.clone();
    document
        .transact("boot", "first-start", move |transaction| {
            transaction.put_server(&kept);
            transaction.put(&["public", "packageData"], &json!({}));
            transaction.put(&["public", "ui"], &json!({}));
            Ok(())
        })
        .await?;
    Ok(server)
}

/// What the server says of itself from now on.
///
/// # Errors
/// When the store cannot write.
pub async fn write_server_info(
    document: &Document,
    network: &Network,
    leaves: &Leaves,
    short: &str,
    hostname: &str,
) -> Result<(), Problem> {
    let before: Option<ServerInfo> = document
        .store()
        .snapshot()
        .get("/public/serverInfo")
        .ok()
        .flatten();
    let info = ServerInfo {
        id: before.map_or_else(|| ids::random(10), |info| info.id),
        name: hostname.to_owned(),
        hostname: hostname.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        package_version_compat: STARTOS_COMPATIBLE.to_owned(),
        ca_fingerprint: leaves.fingerprint(),
        https_port: network.listening.https,
        http_port: network.listening.http,
        bridge_address: network.bridge_address().to_string(),
        language: "en_US".to_owned(),
        status_info: ServerStatus::default(),
        started_at: Wall::now(),
        notices: Vec::new(),
    };
    tracing::info!(server = short, subnet = %network.subnet.v4(), "opened");
    document
        .transact("boot", "server-info", move |transaction| {
            transaction.put(&["public", "serverInfo"], &info);
            Ok(())
        })
        .await
}

/// Removes what earlier processes left behind; gives the services whose container had ended while
/// nobody watched.
pub async fn tidy(host: &Host) -> Vec<String> {
    let known: Vec<Segment> = host
        .document
        .package_ids()
        .into_iter()
        .filter_map(|id| Segment::new(id).ok())
        .collect();
    let receipt = host.backend.reconcile(&known).await;
    let dead = receipt
        .findings
        .iter()
        .filter(|finding| finding.kind == Leftover::DeadContainer);
    let dead = dead.map(|finding| finding.what.clone()).collect();
    let start = ReceiptOf::Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        found: receipt.findings,
    };
    if let Err(problem) = host.document.add_receipt(start).await {
        tracing::warn!(%problem, "no receipt of this start was kept");
    }
    dead
}

/// Removes base images and layers that no container stands on any more. After tidying: by then only
/// running containers have anything.
async fn sweep_base(host: &Host) {
    let mut kept = match host.backend.files_in_use().await {
        Ok(files) => files,
        // Not knowing what is used, nothing goes.
        Err(error) => {
            tracing::warn!(%error, "old base images stay for now");
            return;
        }
    };
    kept.extend([host.base_image.clone(), host.layer.clone()]);
    let folder = host.layout.data.join("base");
    let swept = tokio::task::spawn_blocking(move || base::sweep(&folder, &kept)).await;
    match swept.map_err(std::io::Error::other).flatten() {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => tracing::info!(?removed, "removed old base images and layers"),
        // A folder that is not there holds nothing old.
        Err(error) => tracing::debug!(%error, "no base images were looked at"),
    }
}

/// The deaths that nobody saw, on record.
async fn record_deaths(host: &Host, dead: &[String]) {
    for service in dead.iter().filter_map(|id| host.service(id)) {
        let action =
            "it ended while Coppice was away; the container and everything in it is started again";
        let event = Event::new("container", Cause::ContainerDied, action);
        service.record(event).await;
    }
}

/// Ends what the last process left half done, then grows a tree for each service that is installed.
pub async fn bring_up(jobs: &Jobs) {
    jobs.finish_interrupted().await;
    start_trees(jobs).await;
    jobs.host.brought_up.send_replace(true);
}

async fn start_trees(jobs: &Jobs) {
    let packages = jobs.host.document.packages();
    for id in in_start_order(&packages) {
        if packages
            .get(&id)
            .is_some_and(|entry| entry.parked.is_some() || entry.held.is_some())
        {
            clear_waiting(jobs, &id).await;
        }
        // Read at the last moment: commands are heard already, and one may be removing it by now.
        let entry = jobs.host.document.package(&id);
        if !entry.is_some_and(|entry| matches!(entry.state_info, StateInfo::Installed { .. })) {
            continue;
        }
        if let Err(problem) = jobs.start_tree(&id).await {
            tracing::warn!(service = id, %problem, "a service's tree did not come up; it is tried again");
            jobs.start_tree_later(id);
        }
    }
}

/// A new process tries every service at once.
async fn clear_waiting(jobs: &Jobs, id: &str) {
    let cleared = jobs
        .host
        .document
        .update_package(id, "boot", |entry| {
            entry.parked = None;
            entry.held = None;
            Ok(())
        })
        .await;
    if let Err(problem) = cleared {
        tracing::warn!(service = id, %problem, "the end of a wait was not noted");
    }
}
