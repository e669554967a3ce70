//! Bringing a new service.
//!
//! Steps: `begin` (the entry appears), `ingest` (one verifying pass into the store), `volumes`,
//! `init` (container up, the package's `init`), `commit`. Everything that can be refused is refused
//! before `begin`. Any failure after it rolls back: the server is as it was, except that volumes
//! which were there before (kept by a soft uninstall) stay.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use coppice_s9pk::Manifest;
use coppice_wire::runtime::InitKind;
use serde_json::Value;

use super::{Jobs, Journal, progress, wait_initialised};
use crate::{
    document::Transaction,
    effects::read_version,
    host::Host,
    model::{
        Allocation, ArchivePointer, InstallingInfo, JobKind, JobRecord, PackageEntry,
        PackagePrivate, StateInfo, StatusInfo,
    },
    packages::Opened,
    problem::{Kind, Problem},
};

/// `init` may migrate real data; the runtime's own deadline is an hour.
const INIT_PATIENCE: Duration = Duration::from_secs(65 * 60);
/// How often progress is shown at most.
const SHOW_EVERY: u64 = 4 * 1024 * 1024;

/// Where a package comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file on this machine. It is only read.
    File(PathBuf),
    /// A file of our own, removed when the job ends.
    Upload(PathBuf),
}

impl Source {
    fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) | Self::Upload(path) => path,
        }
    }
}

/// Installs a package from a file; gives its id.
///
/// # Errors
/// When the file is no valid package for this machine, the package is installed already, the disk
/// is full, or its `init` fails. The server is then as it was.
pub async fn install(jobs: &Jobs, source: Source) -> Result<String, Problem> {
    let installed = install_from(jobs, &source).await;
    if let Source::Upload(path) = &source {
        // What is left of an upload is removed at the next start too.
        let _ = fs::remove_file(path);
    }
    installed
}

#[tracing::instrument(name = "install", skip_all, fields(package))]
async fn install_from(jobs: &Jobs, source: &Source) -> Result<String, Problem> {
    let host = &jobs.host;
    let opened = host.packages.look(source.path()).await?;
    let id = opened.manifest.id.to_string();
    tracing::Span::current().record("package", &id);
    let mut journal = Journal::new(JobKind::Install, &id);
    begin(host, &opened, &journal).await?;
    host.network.changed();
    let finished = run(jobs, source, &opened, &mut journal).await;
    if let Err(problem) = finished {
        tracing::warn!(package = id, step = journal.record.step, %problem, "install failed; rolling back");
        roll_back(jobs, &journal).await?;
        return Err(problem);
    }
    Ok(id)
}

/// One write: the entry, what is given to the package, and the journal's row.
async fn begin(host: &Arc<Host>, opened: &Opened, journal: &Journal) -> Result<(), Problem> {
    let id = opened.manifest.id.to_string();
    let manifest = serde_json::to_value(&opened.manifest)
        .map_err(|error| Problem::of(Kind::Serialization, &error))?;
    let entry = PackageEntry {
        state_info: StateInfo::Installing {
            installing_info: InstallingInfo {
                new_manifest: manifest,
                progress: shown(&Value::Bool(false), &Value::Null),
            },
        },
        status_info: StatusInfo::stopped(),
        icon: opened.icon.clone(),
        registry: None,
        developer_key: opened.signer.clone(),
        current_dependencies: std::collections::BTreeMap::new(),
        actions: std::collections::BTreeMap::new(),
        tasks: std::collections::BTreeMap::new(),
        hosts: std::collections::BTreeMap::new(),
        outbound_gateway: None,
        restarts: std::collections::BTreeMap::new(),
        parked: None,
    };
    let kept_data = host.layout.data.join("services").join(&id).join("volumes");
    let kind = match read_version(&kept_data) {
        Ok(Some(_)) => InitKind::Update,
        _ => InitKind::Install,
    };
    let root = opened.root.clone();
    let journal = journal.clone();
    host.document
        .transact("jobs", "install", move |transaction| {
            if transaction
                .get::<Value>(&["public", "packageData", &id])?
                .is_some()
            {
                return Err(Problem::new(
                    Kind::Duplicate,
                    format!("`{id}` is already installed; uninstall it first"),
                ));
            }
            let allocation = allocate(transaction)?;
            let kept = PackagePrivate {
                allocation,
                archive: ArchivePointer { root },
                generation: 0,
                pending_init: Some(kind),
            };
            transaction.put_package(&id, &entry)?;
            transaction.put_private(&id, &kept);
            transaction.put_job(&journal.id, &journal.record);
            Ok(())
        })
        .await
}

/// A range of ids that was never given, and the lowest address that is free.
fn allocate(transaction: &mut Transaction<'_>) -> Result<Allocation, Problem> {
    let mut server = transaction.server()?;
    let packages: std::collections::BTreeMap<String, PackagePrivate> = transaction
        .get(&["private", "packages"])?
        .unwrap_or_default();
    let taken: Vec<u32> = packages
        .values()
        .map(|kept| kept.allocation.host_number)
        .collect();
    let host_number = (0..)
        .find(|number| !taken.contains(number))
        .unwrap_or(u32::MAX);
    let range = server.next_range;
    server.next_range += 1;
    transaction.put_server(&server);
    Ok(Allocation { range, host_number })
}

async fn run(
    jobs: &Jobs,
    source: &Source,
    opened: &Opened,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let host = &jobs.host;
    let id = journal.record.instance.clone();

    journal.step(host, "ingest").await?;
    let (shower, name, total) = (Arc::clone(host), id.clone(), opened.size);
    let mut last = 0;
    let show = move |done: u64| {
        if done >= last + SHOW_EVERY || done == total {
            last = done;
            let counted = serde_json::json!({ "done": done, "total": total, "units": "bytes" });
            shower
                .document
                .publish_progress(&name, &shown(&counted, &Value::Null));
        }
    };
    host.packages
        .ingest(source.path(), &opened.root, show)
        .await?;

    journal.step(host, "volumes").await?;
    make_folders(host, &id, &opened.manifest)?;

    journal.step(host, "init").await?;
    host.document
        .publish_progress(&id, &shown(&Value::Bool(true), &Value::Bool(false)));
    let service = jobs.start_tree(&id).await?;
    let watching = show_init(&service);
    let initialised = wait_initialised(&service, INIT_PATIENCE).await;
    watching.abort();
    initialised?;

    let job = journal.id.clone();
    let instance = id.clone();
    host.document
        .transact("jobs", "install-commit", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            if let StateInfo::Installing { installing_info } = entry.state_info {
                entry.state_info = StateInfo::Installed {
                    manifest: installing_info.new_manifest,
                };
            }
            let actions = entry.actions.clone();
            entry.tasks.retain(|_, one| {
                one.task.package_id != instance || actions.contains_key(&one.task.action_id)
            });
            transaction.put_package(&instance, &entry)?;
            transaction.remove_job(&job);
            Ok(())
        })
        .await?;
    host.network.changed();
    Ok(())
}

/// Shows the package's own progress through its `init`.
fn show_init(service: &Arc<crate::service::ServiceContext>) -> tokio::task::JoinHandle<()> {
    let service = Arc::clone(service);
    let mut told = service.init_progress.subscribe();
    tokio::spawn(async move {
        while told.changed().await.is_ok() {
            let progress = told.borrow_and_update().clone();
            service
                .host
                .document
                .publish_progress(&service.id, &shown(&Value::Bool(true), &progress));
        }
    })
}

fn shown(ingest: &Value, init: &Value) -> Value {
    progress(&[("Unpacking", ingest.clone()), ("Installing", init.clone())])
}

/// `services/<id>` with its volumes and logs. Files in them are stored with container ids.
fn make_folders(host: &Host, id: &str, manifest: &Manifest) -> Result<(), Problem> {
    let folder = host.layout.data.join("services").join(id);
    let names = manifest
        .volumes
        .iter()
        .map(|volume| folder.join("volumes").join(volume.as_str()));
    for path in names.chain([folder.join("logs"), folder.join("cache")]) {
        let made = fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        made.map_err(|error| {
            Problem::new(
                Kind::Filesystem,
                format!(
                    "could not make `{}`: {error}; free some space and install again",
                    path.display()
                ),
            )
        })?;
    }
    Ok(())
}

/// Makes the server as it was before an install that did not end.
///
/// # Errors
/// When something could not be removed; the journal's row stays and the next start tries again.
pub async fn resume(jobs: &Jobs, id: String, record: JobRecord) -> Result<(), Problem> {
    roll_back(jobs, &Journal { id, record }).await
}

async fn roll_back(jobs: &Jobs, journal: &Journal) -> Result<(), Problem> {
    let host = &jobs.host;
    let id = journal.record.instance.clone();
    jobs.take_down(&id).await?;
    let kept = host.document.private(&id);
    let fresh = kept
        .as_ref()
        .is_none_or(|kept| kept.pending_init != Some(InitKind::Update));
    super::uninstall::remove_remains(host, &id, !fresh).await?;
    super::uninstall::forget(host, &id, &journal.id).await
}
