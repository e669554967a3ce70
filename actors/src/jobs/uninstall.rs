//! Removing a service.
//!
//! Steps: `exit` (the package's `uninit`), `container` (container and tree), `remains` (volumes,
//! logs, package, certificates), then one write that forgets everything. Each may be run twice, so
//! after a crash the job goes on where it was.

use std::{io, path::PathBuf, time::Duration};

use coppice_clock::Wall;
use coppice_remove_tree::remove_tree;

use super::{Jobs, Journal};
use crate::{
    host::Host,
    model::{ErrorInfo, JobKind, JobRecord, StateInfo},
    problem::{Kind, Problem},
    service::RuntimePhase,
};

/// The runtime's own deadline for `uninit`, and a little.
const EXIT_PATIENCE: Duration = Duration::from_secs(11 * 60);

/// How a service is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Keep the volumes.
    pub soft: bool,
    /// Go on although the package's `uninit` fails.
    pub force: bool,
}

/// Removes a service and everything of it.
///
/// # Errors
/// When it is not installed, or its `uninit` fails and `force` is not set: it is then installed as
/// before.
#[tracing::instrument(skip(jobs))]
pub async fn uninstall(jobs: &Jobs, id: &str, manner: Manner) -> Result<(), Problem> {
    let host = &jobs.host;
    let mut journal = Journal::new(JobKind::Uninstall { soft: manner.soft }, id);
    let (instance, row) = (id.to_owned(), journal.clone());
    host.document
        .transact("jobs", "uninstall", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            let StateInfo::Installed { manifest } = entry.state_info else {
                return Err(Problem::invalid(format!(
                    "`{instance}` is {}; wait until that has ended",
                    entry.state_info.name()
                )));
            };
            entry.state_info = StateInfo::Removing { manifest };
            entry.status_info.desired = entry.status_info.desired.stop();
            transaction.put_package(&instance, &entry)?;
            transaction.put_job(&row.id, &row.record);
            Ok(())
        })
        .await?;
    journal.step(host, "exit").await?;
    let exited = exit(jobs, id).await;
    if let Err(problem) = exited
        && !manner.force
    {
        put_back(jobs, &journal, &problem).await?;
        return Err(problem);
    }
    finish(jobs, journal, manner.soft).await
}

/// Runs the package's `uninit`, if there is a runtime to run it.
async fn exit(jobs: &Jobs, id: &str) -> Result<(), Problem> {
    let Some(service) = jobs.host.service(id) else {
        return Ok(());
    };
    if service.runtime.borrow().is_none() {
        return Ok(());
    }
    let mut phase = service.phase.subscribe();
    let asked = service
        .runtime_slot
        .cast(crate::service::runtime::RuntimeMsg::Input(
            crate::service::runtime::step::Input::Exit,
        ));
    if !asked {
        return Ok(());
    }
    let ended =
        phase.wait_for(|phase| matches!(phase, RuntimePhase::Exited | RuntimePhase::Failed(_)));
    match tokio::time::timeout(EXIT_PATIENCE, ended).await {
        Ok(Ok(phase)) => match &*phase {
            RuntimePhase::Failed(why) => Err(Problem::new(
                Kind::Javascript,
                format!(
                    "`{id}` could not be uninstalled: {why}; use --force to remove it regardless"
                ),
            )),
            _ => Ok(()),
        },
        Ok(Err(_)) => Ok(()),
        Err(_) => Err(Problem::new(
            Kind::Timeout,
            format!(
                "the uninit of `{id}` did not end in time; use --force to remove it regardless"
            ),
        )),
    }
}

/// The service stays, with the reason shown.
async fn put_back(jobs: &Jobs, journal: &Journal, problem: &Problem) -> Result<(), Problem> {
    let (instance, job) = (journal.record.instance.clone(), journal.id.clone());
    let shown = ErrorInfo {
        details: problem.details.clone(),
        debug: problem.debug.clone(),
        info: (*problem.info).clone(),
    };
    jobs.host
        .document
        .transact("jobs", "uninstall-failed", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            if let StateInfo::Removing { manifest } = entry.state_info {
                entry.state_info = StateInfo::Installed { manifest };
            }
            entry.status_info.error = Some(shown);
            transaction.put_package(&instance, &entry)?;
            transaction.remove_job(&job);
            Ok(())
        })
        .await
}

/// Goes on with an uninstall that did not end. The package's `uninit` ran or never will.
///
/// # Errors
/// When something could not be removed; the journal's row stays and the next start tries again.
pub async fn resume(jobs: &Jobs, id: String, record: JobRecord) -> Result<(), Problem> {
    let JobKind::Uninstall { soft } = record.kind else {
        return Err(Problem::new(
            Kind::Incoherent,
            format!("job `{id}` is not an uninstall"),
        ));
    };
    finish(jobs, Journal { id, record }, soft).await
}

async fn finish(jobs: &Jobs, mut journal: Journal, soft: bool) -> Result<(), Problem> {
    let host = &jobs.host;
    let id = journal.record.instance.clone();
    journal.step(host, "container").await?;
    jobs.take_down(&id).await?;
    journal.step(host, "remains").await?;
    remove_remains(host, &id, soft).await?;
    forget(host, &id, &journal.id).await?;
    tracing::info!(
        package = id,
        seconds = (Wall::now().as_seconds() - journal.record.since.as_seconds()),
        "uninstalled"
    );
    Ok(())
}

/// Removes files, package and certificate of a service; its volumes too, unless they are to stay.
pub(super) async fn remove_remains(
    host: &Host,
    id: &str,
    keep_volumes: bool,
) -> Result<(), Problem> {
    let folder = host.layout.data.join("services").join(id);
    let doomed = if keep_volumes {
        ["logs", "cache", "root", "sub"]
            .map(|name| folder.join(name))
            .to_vec()
    } else {
        vec![folder]
    };
    for path in doomed.into_iter().chain([host.socket_folder(id)]) {
        remove(path.clone()).await.map_err(|error| {
            Problem::new(
                Kind::Filesystem,
                format!("could not remove `{}`: {error}; try again", path.display()),
            )
        })?;
    }
    host.leaves.forget(&format!("service {id}"))?;
    if let Some(kept) = host.document.private(id) {
        host.packages.remove(&kept.archive.root).await?;
    }
    Ok(())
}

/// A container wrote what is in there: it may be deep beyond any path, and take minutes.
async fn remove(path: PathBuf) -> io::Result<()> {
    let removed = tokio::task::spawn_blocking(move || remove_tree(&path));
    removed.await.map_err(io::Error::other)?
}

/// One write: entry, allocation, ports and the journal's row are gone.
pub(super) async fn forget(host: &Host, id: &str, job: &str) -> Result<(), Problem> {
    let (instance, job) = (id.to_owned(), job.to_owned());
    host.document
        .transact("jobs", "forget", move |transaction| {
            let mut server = transaction.server()?;
            server.ports.retain(|_, holder| *holder != instance);
            transaction.put_server(&server);
            transaction.remove_package(&instance);
            transaction.remove_job(&job);
            Ok(())
        })
        .await?;
    host.network.changed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use nix::{
        fcntl::{OFlag, openat},
        sys::{
            resource::{Resource, getrlimit, setrlimit},
            stat::{Mode, mkdirat},
        },
    };

    use super::*;

    #[tokio::test]
    async fn a_volume_deeper_than_there_are_descriptors_is_removed() {
        // What a process usually has; more would hide a descriptor kept per level.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most.min(1024), most).unwrap();
        let outer = tempfile::tempdir().unwrap();
        let volume = outer.path().join("volumes/main");
        fs::create_dir_all(&volume).unwrap();
        let mut at = std::os::fd::OwnedFd::from(File::open(&volume).unwrap());
        for _ in 0..3000 {
            mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = openat(&at, "d", OFlag::O_PATH, Mode::empty()).unwrap();
        }
        drop(at);
        remove(outer.path().join("volumes")).await.unwrap();
        assert!(!outer.path().join("volumes").exists());
        remove(outer.path().join("volumes")).await.unwrap();
    }
}
