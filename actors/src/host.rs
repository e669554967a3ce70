//! What every service's actors share: the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coppice_containers::{Backend, HostLayout};
use patchdb::SecretStore;
use tokio::sync::watch;

use crate::{
    disk::Disk,
    document::{Document, not_installed},
    network::{Leaves, Network},
    packages::Packages,
    problem::Problem,
    reserve::Reserve,
    service::{
        Changed, ServiceContext,
        callbacks::{Clear, Watchers},
    },
};

/// The server: state, packages, containers, network. Handles only; nothing here decides.
pub struct Host {
    /// The document.
    pub document: Document,
    /// Keys, hashes, tokens.
    pub secrets: SecretStore,
    /// Room for bad times.
    pub(crate) reserve: Reserve,
    /// The disk of the data folder.
    pub(crate) disk: Disk,
    /// Installed packages.
    pub packages: Packages,
    /// Makes containers.
    pub backend: Arc<dyn Backend>,
    /// Names and folders.
    pub layout: HostLayout,
    /// Addresses and names.
    pub network: Network,
    /// The certificate authority and its leaves.
    pub leaves: Leaves,
    /// Squashfs of the base root of every container.
    pub base_image: PathBuf,
    /// What is laid over the base: the agent and the runtime of this build.
    pub layer: PathBuf,
    /// The server's language, for example `en_US`.
    pub language: String,
    /// After how much quiet a Node process with nothing to do ends; `None`: never.
    pub sleep_after: Option<Duration>,
    services: Mutex<BTreeMap<String, Arc<ServiceContext>>>,
    /// Whether the tree of each service has been tried once since this core began.
    pub brought_up: watch::Sender<bool>,
    /// Which of them wait to hear of what.
    pub(crate) watchers: Watchers,
}

/// Name of the nft tables of the server with this short id.
#[must_use]
pub fn nft_table(short: &str) -> String {
    format!("coppice_{short}")
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// What a [`Host`] is made of.
pub struct Parts {
    /// As [`Host::document`].
    pub document: Document,
    /// As [`Host::secrets`].
    pub secrets: SecretStore,
    /// Room for bad times.
    pub reserve: Reserve,
    /// As [`Host::packages`].
    pub packages: Packages,
    /// As [`Host::backend`].
    pub backend: Arc<dyn Backend>,
    /// As [`Host::layout`].
    pub layout: HostLayout,
    /// As [`Host::network`].
    pub network: Network,
    /// As [`Host::leaves`].
    pub leaves: Leaves,
    /// As [`Host::base_image`].
    pub base_image: PathBuf,
    /// As [`Host::layer`].
    pub layer: PathBuf,
    /// As [`Host::language`].
    pub language: String,
    /// As [`Host::sleep_after`].
    pub sleep_after: Option<Duration>,
}

impl Host {
    /// A server without services yet.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            document: parts.document,
            secrets: parts.secrets,
            disk: Disk::of(parts.layout.data.clone(), parts.reserve.clone()),
            reserve: parts.reserve,
            packages: parts.packages,
            backend: parts.backend,
            layout: parts.layout,
            network: parts.network,
            leaves: parts.leaves,
            base_image: parts.base_image,
            layer: parts.layer,
            language: parts.language,
            sleep_after: parts.sleep_after,
            services: Mutex::default(),
            brought_up: watch::Sender::new(false),
            watchers: Watchers::default(),
        })
    }

    /// `LANG` of every container.
    #[must_use]
    pub fn lang(&self) -> String {
        format!("{}.UTF-8", self.language)
    }

    /// Name of our nft tables.
    #[must_use]
    pub fn nft_table(&self) -> String {
        nft_table(self.layout.short.as_str())
    }

    /// The folder that holds a service's socket.
    #[must_use]
    pub fn socket_folder(&self, service: &str) -> PathBuf {
        self.layout.run.join("services").join(service)
    }

    /// Notes a service whose tree runs or is about to.
    pub fn add_service(&self, service: Arc<ServiceContext>) {
        self.registry().insert(service.id.clone(), service);
    }

    /// Forgets a service, and that it waits to hear of anything.
    pub fn remove_service(&self, id: &str) {
        let removed = self.registry().remove(id);
        if let Some(service) = removed {
            let except = BTreeSet::new();
            service.unwatch(&Clear::Except { except });
        }
    }

    /// A service with a tree.
    #[must_use]
    pub fn service(&self, id: &str) -> Option<Arc<ServiceContext>> {
        self.registry().get(id).cloned()
    }

    /// A service with a tree, or why there is none.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn expect_service(&self, id: &str) -> Result<Arc<ServiceContext>, Problem> {
        self.service(id).ok_or_else(|| not_installed(id))
    }

    /// The service named, or the caller itself when none is.
    ///
    /// # Errors
    /// When the one named is not installed.
    pub fn service_or_self(
        &self,
        own: &Arc<ServiceContext>,
        named: Option<&str>,
    ) -> Result<Arc<ServiceContext>, Problem> {
        match named {
            Some(id) if id != own.id => self.expect_service(id),
            _ => Ok(Arc::clone(own)),
        }
    }

    /// Every service with a tree.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<ServiceContext>> {
        self.registry().values().cloned().collect()
    }

    /// Tells the services that wait to hear of one of these.
    pub(crate) fn tell_watchers(&self, changed: &[Changed]) {
        for id in self.watchers.of(changed) {
            if let Some(service) = self.service(&id) {
                service.fire(changed);
            }
        }
    }

    /// Recomputes the addresses of every service: the machine's own have changed.
    pub async fn refresh_all_addresses(&self) {
        for service in self.services() {
            let around = self.network.surroundings(&service.id);
            let refreshed = service
                .update("addresses", move |entry| {
                    crate::hosts::refresh_addresses(&mut entry.hosts, &around);
                    Ok(())
                })
                .await;
            if let Err(error) = refreshed {
                tracing::warn!(service = service.id, %error, "addresses were not refreshed");
            }
        }
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<ServiceContext>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
