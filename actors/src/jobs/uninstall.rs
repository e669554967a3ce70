//! Removing a service.
//!
//! Steps: `exit` (the package's `uninit`), `container` (container and tree), `remains` (volumes,
//! logs, package, certificates), then one write that forgets everything. Each may be run twice, so
//! after a crash the job goes on where it was.

use std::{io, path::PathBuf, time::Duration};

use coppice_clock::Wall;
use coppice_remove_tree::remove_tree;

use super::{Jobs, journal::Journal, update, wait_initialised};
use crate::{
    blocking::blocking,
    host::Host,
    hosts::plugged,
    model::{JobKind, PackageEntry, StateInfo},
    problem::{Kind, Problem},
    service::daemons::hosted::Declarations,
    service::{
        ContainerPhase, RuntimePhase,
        runtime::{
            RuntimeMsg,
            step::{self, Input},
        },
    },
};

/// How long a package that is on its way up may take until it can be asked to end.
pub(super) const UP_PATIENCE: Duration = Duration::from_secs(30);
/// The runtime's own deadlines, from falling asleep over a wake to the end of `uninit`, and a little.
pub(super) const EXIT_PATIENCE: Duration = Duration::from_secs(20)
    .saturating_add(step::SETTLE_DEADLINE)
    .saturating_add(step::LAUNCH_DEADLINE)
    .saturating_add(step::LEAVE_DEADLINE)
    .saturating_add(step::EXIT_DEADLINE);

/// How a service is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Keep the volumes.
    pub soft: bool,
    /// Go on although the package's `uninit` fails.
    pub force: bool,
}

/// Removes a service and everything of it. What an earlier job left half done is brought to its end
/// instead, so a service can always be removed.
///
/// # Errors
/// When it is not installed, another job is about it, or its `uninit` fails and `force` is not set: it
/// is then installed as before.
pub async fn uninstall(jobs: &Jobs, id: &str, manner: Manner) -> Result<(), Problem> {
    let (own, name) = (jobs.clone(), id.to_owned());
    let work = async move { uninstall_alone(&own, &name, manner).await };
    jobs.runner.run("uninstall", id, work).await
}

#[tracing::instrument(name = "uninstall", skip(jobs))]
async fn uninstall_alone(jobs: &Jobs, package: &str, manner: Manner) -> Result<(), Problem> {
    let host = &jobs.host;
    update::to_its_end(jobs, package).await?;
    let mut journal = match begin(host, package, manner).await? {
        Begun::Anew(journal) => journal,
        Begun::Unfinished(journal) => return super::finish(jobs, journal).await,
    };
    journal.step(host, "exit").await?;
    let exited = exit(jobs, package, EXIT_PATIENCE).await;
    if let Err(problem) = exited
        && !manner.force
    {
        journal.trace("failed", "put back");
        put_back(jobs, &journal).await?;
        return Err(Problem {
            details: format!("{}; use --force to remove it regardless", problem.details),
            ..problem
        });
    }
    take_away(jobs, journal, manner.soft).await
}

enum Begun {
    /// The row of this job.
    Anew(Journal),
    /// The row of a job that is nobody's any more: this one is the only job about the service.
    Unfinished(Journal),
}

async fn begin(host: &Host, id: &str, manner: Manner) -> Result<Begun, Problem> {
    let instance = id.to_owned();
    host.document
        .transact("jobs", "uninstall", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            let kind = JobKind::Uninstall {
                soft: manner.soft,
                desired: entry.status_info.desired,
            };
            let journal = Journal::new(kind, &instance);
            let begun = match entry.state_info {
                StateInfo::Installed { manifest } => {
                    entry.state_info = StateInfo::Removing { manifest };
                    entry.status_info.desired = entry.status_info.desired.stop();
                    transaction.put_package(&instance, &entry)?;
                    Begun::Anew(journal)
                }
                _ => match transaction.job_about(&instance)? {
                    Some((id, record)) => return Ok(Begun::Unfinished(Journal { id, record })),
                    None => Begun::Unfinished(journal),
                },
            };
            let (Begun::Anew(journal) | Begun::Unfinished(journal)) = &begun;
            transaction.put_job(&journal.id, &journal.record);
            Ok(begun)
        })
        .await
}

/// Has the package end what it runs and run its `uninit`, unless it does not come up to do that.
///
/// # Errors
/// When its `uninit` fails, its container ends meanwhile, or it takes longer than `patience`.
pub(crate) async fn exit(jobs: &Jobs, id: &str, patience: Duration) -> Result<(), Problem> {
    let Some(service) = jobs.host.service(id) else {
        return Ok(());
    };
    let parked = |entry: PackageEntry| entry.parked.is_some();
    if jobs.host.document.package(id).is_none_or(parked) {
        return Ok(());
    }
    let (mut phase, mut container) = (service.phase.subscribe(), service.container.subscribe());
    let mut failures = service.failures.subscribe();
    // A core that has just come back has met neither the container nor the runtime yet, and it may meet
    // the runtime first: a container that is not found yet must not be taken for one that ended.
    let found = container.wait_for(|phase| *phase == ContainerPhase::Up);
    if !matches!(tokio::time::timeout(UP_PATIENCE, found).await, Ok(Ok(_)))
        || wait_initialised(&service, UP_PATIENCE).await.is_err()
    {
        return Ok(());
    }
    // A count, because a failed runtime's phase is soon its successor's.
    let before = failures.borrow_and_update().0;
    if !service.runtime_slot.cast(RuntimeMsg::Input(Input::Exit)) {
        return Ok(());
    }
    let failed = |why: &str| {
        Err(Problem::new(
            Kind::Javascript,
            format!("the package `{id}` did not end well: {why}"),
        ))
    };
    tokio::select! {
        biased;
        _ = phase.wait_for(|phase| *phase == RuntimePhase::Exited) => Ok(()),
        failure = failures.wait_for(|(count, _)| *count > before) => match failure.as_deref() {
            Ok((_, why)) => failed(why),
            // Its tree is gone, and with it what could run `uninit`.
            Err(_) => Ok(()),
        },
        _ = container.wait_for(|phase| *phase != ContainerPhase::Up) => {
            failed("its container ended meanwhile")
        }
        () = tokio::time::sleep(patience) => Err(Problem::new(
            Kind::Timeout,
            format!("the package `{id}` did not end within {} s", patience.as_secs()),
        )),
    }
}

/// The service stays, and is what it was; why is in its restart records and in the answer.
async fn put_back(jobs: &Jobs, journal: &Journal) -> Result<(), Problem> {
    let (instance, job) = (journal.record.instance.clone(), journal.id.clone());
    let kind = journal.record.kind.clone();
    jobs.host
        .document
        .transact("jobs", "uninstall-failed", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            if let StateInfo::Removing { manifest } = entry.state_info {
                entry.state_info = StateInfo::Installed { manifest };
            }
            if let JobKind::Uninstall { desired, .. } = kind {
                entry.status_info.desired = desired;
            }
            transaction.put_package(&instance, &entry)?;
            transaction.remove_job(&job);
            Ok(())
        })
        .await?;
    if let Some(service) = jobs.host.service(&journal.record.instance) {
        service.raise_wish();
    }
    Ok(())
}

/// Removes what is there of a service. Its `uninit` ran, or never will. May be run twice.
///
/// # Errors
/// When something could not be removed; the journal's row stays.
pub(super) async fn take_away(
    jobs: &Jobs,
    mut journal: Journal,
    soft: bool,
) -> Result<(), Problem> {
    let taken = take_away_by_steps(jobs, &mut journal, soft).await;
    match taken {
        Ok(()) => journal.trace("done", "over"),
        Err(_) => journal.trace("failed", "left"),
    }
    taken
}

async fn take_away_by_steps(jobs: &Jobs, journal: &mut Journal, soft: bool) -> Result<(), Problem> {
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
    host.leaves.forget_asked(id)?;
    Declarations::forget(&host.secrets, id)?;
    if let Some(kept) = host.document.private(id) {
        host.packages.remove(&kept.archive.root).await?;
    }
    Ok(())
}

/// A container wrote what is in there: it may be deep beyond any path, and take minutes.
async fn remove(path: PathBuf) -> io::Result<()> {
    let removed = blocking(move || remove_tree(&path)).await;
    removed.map_err(io::Error::other)?
}

/// One write: entry, allocation, ports and the journal's row are gone.
pub(super) async fn forget(host: &Host, id: &str, job: &str) -> Result<(), Problem> {
    let (instance, job) = (id.to_owned(), job.to_owned());
    host.document
        .transact("jobs", "forget", move |transaction| {
            let mut server = transaction.server()?;
            server.ports.retain(|_, holder| *holder != instance);
            transaction.put_server(&server);
            plugged::clear(transaction, &instance, |_, _, _, _| false)?;
            transaction.remove_package(&instance);
            transaction.remove_job(&job);
            Ok(())
        })
        .await?;
    host.network.changed();
    // There may be room again for what was given up on a full disk. Nothing waits for it.
    let reserve = host.reserve.clone();
    tokio::spawn(blocking(move || reserve.hold()));
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
