//! A server in a temporary folder whose containers are only kept account of.

use std::{path::PathBuf, sync::Arc};

use coppice_containers::{
    Backend, ContainerSpec, HostLayout, InMemoryBackend, Init, Limits, Segment,
};
use serde_json::json;

use super::ServiceContext;
use crate::{
    host::Host,
    model::{Allocation, ArchivePointer, PackageEntry, PackagePrivate, StateInfo},
    testing::{Fuse, open_host},
};

/// A server, and what a test wants to look at.
pub(crate) struct TestHost {
    pub(crate) host: Arc<Host>,
    pub(crate) backend: Arc<InMemoryBackend>,
    _folder: tempfile::TempDir,
}

/// An empty server.
pub(crate) fn host() -> TestHost {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    let mut layout = HostLayout::new(Segment::new("tester").unwrap(), &data);
    layout.run = data.join("run");
    let backend = Arc::new(InMemoryBackend::new());
    let host = open_host(
        layout,
        Arc::clone(&backend) as Arc<dyn Backend>,
        Fuse::new(),
        patchdb::Options::default(),
    );
    TestHost {
        host,
        backend,
        _folder: folder,
    }
}

impl TestHost {
    /// A service in the document and among those with a tree. Its package is in no store, so its
    /// container can be adopted and never made.
    pub(crate) async fn installed(&self, id: &'static str) -> Arc<ServiceContext> {
        let entry = PackageEntry::bare(StateInfo::Installed {
            manifest: json!({ "id": id, "version": "1:0" }),
        });
        let kept = PackagePrivate {
            allocation: Allocation {
                range: 0,
                host_number: 0,
            },
            archive: ArchivePointer {
                root: "00".repeat(32),
            },
            generation: 0,
            pending_init: None,
        };
        let written = self.host.document.transact("test", "install", move |all| {
            all.put_private(id, &kept);
            all.put_package(id, &entry)
        });
        written.await.unwrap();
        let service = ServiceContext::new(id, Arc::clone(&self.host)).unwrap();
        self.host.add_service(Arc::clone(&service));
        service
    }

    /// A container that runs since before anybody looked after it.
    pub(crate) async fn runs_already(&self, service: &ServiceContext) {
        let spec = ContainerSpec {
            instance: service.instance.clone(),
            id_base: 0x7000_0000,
            hostname: service.id.clone(),
            lang: String::new(),
            base_image: PathBuf::new(),
            layer_dir: PathBuf::new(),
            javascript: PathBuf::new(),
            assets: None,
            images: Vec::new(),
            volumes: Vec::new(),
            logs_dir: PathBuf::new(),
            cache_dir: PathBuf::new(),
            rpc_dir: PathBuf::new(),
            network: None,
            resolv_conf: String::new(),
            devices: Vec::new(),
            limits: Limits::default(),
            init: Init {
                argv: Vec::new(),
                env: Vec::new(),
            },
        };
        self.backend.create(&spec).await.unwrap();
    }
}
