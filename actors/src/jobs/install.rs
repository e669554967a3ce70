//! Bringing a new service.
//!
//! Steps: `begin` (the entry appears), `ingest` (one verifying pass into the store), `volumes`,
//! `init` (container up, the package's `init`), `commit`. What can be refused by looking at the package
//! is refused before `begin`. Any failure after it rolls back: the server is as it was. Volumes that
//! were there before (kept by a soft uninstall) stay, whatever happens; the row says whether there were.
//! A package that is installed already is updated instead ([`super::update`]).

use std::{
    fs, ops::ControlFlow, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration,
};

use coppice_s9pk::Manifest;
use coppice_wire::runtime::InitKind;
use serde::Serialize;
use serde_json::Value;

use super::{Jobs, journal::Journal, progress, update, wait_initialised};
use crate::{
    document::Transaction,
    effects::read_version,
    host::Host,
    model::{
        Allocation, ArchivePointer, InstallingInfo, JobKind, PackageEntry, PackagePrivate,
        StateInfo,
    },
    packages::Opened,
    problem::{Kind, Problem},
};

/// `init` may migrate real data; the runtime's own deadline is an hour.
pub(super) const INIT_PATIENCE: Duration = Duration::from_secs(65 * 60);
/// How often progress is shown at most.
pub(super) const SHOW_EVERY: u64 = 4 * 1024 * 1024;

/// Where a package comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file on this machine. It is only read.
    File(PathBuf),
    /// A file of our own, removed when the job ends.
    Upload(PathBuf),
}

impl Source {
    pub(super) fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) | Self::Upload(path) => path,
        }
    }

    /// The job is over: nobody needs an upload any more.
    fn discard(&self) {
        if let Self::Upload(path) = self {
            // What is left of it is removed at the next start too.
            let _ = fs::remove_file(path);
        }
    }
}

/// What an install came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The package.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The version that was there before, if one was.
    pub from: Option<String>,
}

/// Installs a package from a file, or updates the one that is there.
///
/// # Errors
/// When the file is no valid package for this machine, may not follow the installed version, the disk
/// is full, its `init` fails, or as an update it does not prove itself. The server is then as it was.
pub async fn install(jobs: &Jobs, source: Source) -> Result<Installed, Problem> {
    let opened = match jobs.host.packages.look(source.path()).await {
        Ok(opened) => opened,
        Err(problem) => {
            source.discard();
            return Err(problem);
        }
    };
    let id = opened.manifest.id.to_string();
    let is_there = |entry: PackageEntry| {
        matches!(
            entry.state_info,
            StateInfo::Installed { .. } | StateInfo::Updating { .. }
        )
    };
    let updates = jobs.host.document.package(&id).is_some_and(is_there);
    let (own, name) = (jobs.clone(), id.clone());
    let work = async move {
        let done = if updates {
            Box::pin(update::update(&own, &source, &opened, &name)).await
        } else {
            let done = install_opened(&own, &source, &opened, &name).await;
            done.map(|()| Installed {
                id: name,
                version: opened.manifest.version.to_string(),
                from: None,
            })
        };
        source.discard();
        done
    };
    let verb = if updates { "update" } else { "install" };
    jobs.runner.run(verb, &id, work).await
}

#[tracing::instrument(name = "install", skip(jobs, source, opened))]
async fn install_opened(
    jobs: &Jobs,
    source: &Source,
    opened: &Opened,
    package: &str,
) -> Result<(), Problem> {
    let host = &jobs.host;
    let keep_volumes = volumes(host, package).exists();
    let mut journal = Journal::new(JobKind::Install { keep_volumes }, package);
    begin(host, opened, &journal).await?;
    host.network.changed();
    let Err(problem) = run(jobs, source, opened, &mut journal).await else {
        journal.trace("done", "over");
        return Ok(());
    };
    journal.trace("failed", "rolling back");
    tracing::warn!(package, step = journal.record.step, %problem, "install failed; rolling back");
    if let Err(second) = roll_back(jobs, &journal, keep_volumes).await {
        // The first one is the reason, and the row says what is left to do.
        tracing::error!(package, problem = %second, "an install was not rolled back in full; `coppice package uninstall` or the next start tries again");
    }
    Err(problem)
}

pub(super) fn volumes(host: &Host, id: &str) -> PathBuf {
    host.layout.data.join("services").join(id).join("volumes")
}

/// One write: the entry, what is given to the package, and the journal's row.
async fn begin(host: &Arc<Host>, opened: &Opened, journal: &Journal) -> Result<(), Problem> {
    let id = opened.manifest.id.to_string();
    let manifest = serde_json::to_value(&opened.manifest)
        .map_err(|error| Problem::of(Kind::Serialization, &error))?;
    let entry = PackageEntry {
        icon: opened.icon.clone(),
        developer_key: opened.signer.clone(),
        ..PackageEntry::bare(StateInfo::Installing {
            installing_info: InstallingInfo {
                new_manifest: manifest,
                progress: shown(&Value::Bool(false), &Value::Null),
            },
        })
    };
    let kind = match read_version(&volumes(host, &id)) {
        Ok(Some(_)) => InitKind::Update,
        _ => InitKind::Install,
    };
    let root = opened.root.clone();
    let journal = journal.clone();
    host.document
        .transact("jobs", "install", move |transaction| {
            if let Ok(entry) = transaction.package(&id) {
                return Err(Problem::new(
                    Kind::Duplicate,
                    match entry.state_info {
                        // Between the look at it and this.
                        StateInfo::Installed { .. } => {
                            format!("`{id}` was installed meanwhile; try again to update it")
                        }
                        unfinished => format!(
                            "`{id}` is still {}; `coppice package uninstall {id}` removes what is left of it",
                            unfinished.name()
                        ),
                    },
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

/// A range of ids that was never given, as long as there is one, and the lowest address that is free.
fn allocate(transaction: &mut Transaction<'_>) -> Result<Allocation, Problem> {
    let mut server = transaction.server()?;
    let packages: std::collections::BTreeMap<String, PackagePrivate> = transaction
        .get(&["private", "packages"])?
        .unwrap_or_default();
    let lowest_free = |taken: fn(&Allocation) -> u32| {
        let taken: Vec<u32> = packages
            .values()
            .map(|kept| taken(&kept.allocation))
            .collect();
        (0..)
            .find(|number| !taken.contains(number))
            .unwrap_or(u32::MAX)
    };
    let host_number = lowest_free(|given| given.host_number);
    let range = if server.next_range < Allocation::RANGES {
        server.next_range += 1;
        transaction.put_server(&server);
        server.next_range - 1
    } else {
        // Files hold the container's ids, so nothing on the disk is bound to an earlier holder.
        lowest_free(|given| given.range)
    };
    if range >= Allocation::RANGES {
        return Err(Problem::invalid(format!(
            "there are {} services, and no user ids are left for another; uninstall one first",
            Allocation::RANGES
        )));
    }
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
        ControlFlow::Continue(())
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
    let watching = show_init(&service, |init| shown(&Value::Bool(true), init));
    let initialised = wait_initialised(&service, INIT_PATIENCE).await;
    watching.abort();
    initialised.map_err(|problem| Problem {
        details: format!(
            "{}; nothing of it was kept, so it can be tried again, and its maker may know more",
            problem.details
        ),
        ..problem
    })?;

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
            drop_lost_tasks(&instance, &mut entry);
            transaction.put_package(&instance, &entry)?;
            transaction.remove_job(&job);
            Ok(())
        })
        .await?;
    host.network.changed();
    Ok(())
}

/// A package's tasks about actions of its own that it has not.
pub(super) fn drop_lost_tasks(id: &str, entry: &mut PackageEntry) {
    let actions = &entry.actions;
    entry
        .tasks
        .retain(|_, one| one.task.package_id != id || actions.contains_key(&one.task.action_id));
}

/// Shows the package's own progress through its `init`, as `shown` has it.
pub(super) fn show_init(
    service: &Arc<crate::service::ServiceContext>,
    shown: impl Fn(&Value) -> Value + Send + 'static,
) -> tokio::task::JoinHandle<()> {
    let service = Arc::clone(service);
    let mut told = service.init_progress.subscribe();
    tokio::spawn(async move {
        while told.changed().await.is_ok() {
            let progress = told.borrow_and_update().clone();
            service
                .host
                .document
                .publish_progress(&service.id, &shown(&progress));
        }
    })
}

fn shown(ingest: &Value, init: &Value) -> Value {
    progress(&[("Unpacking", ingest.clone()), ("Installing", init.clone())])
}

/// `services/<id>` with its volumes and logs. Files in them are stored with container ids.
pub(super) fn make_folders(host: &Host, id: &str, manifest: &Manifest) -> Result<(), Problem> {
    let folder = host.layout.data.join("services").join(id);
    let volumes = folder.join("volumes");
    let names = manifest
        .volumes
        .iter()
        .map(|volume| volumes.join(volume.as_str()));
    // The folder around the volumes also without any: the data version is in it.
    let all = [volumes.clone(), folder.join("logs"), folder.join("cache")];
    for path in names.chain(all) {
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

/// Makes the server as it was before an install that came to nothing. May be run twice.
///
/// # Errors
/// When something could not be removed; the journal's row stays.
pub(super) async fn roll_back(
    jobs: &Jobs,
    journal: &Journal,
    keep_volumes: bool,
) -> Result<(), Problem> {
    let (host, id) = (&jobs.host, &journal.record.instance);
    jobs.take_down(id).await?;
    super::uninstall::remove_remains(host, id, keep_volumes).await?;
    super::uninstall::forget(host, id, &journal.id).await
}
