//! Bringing another version of a service.
//!
//! Steps: `begin` (the entry says so; the installed version runs on), `ingest` (one verifying pass into the
//! store), `stop` (its `main` is down), `snapshot` (its volumes, copied), `exit` (its `uninit`, which may turn
//! the data back), `swap` (container gone, the new package in its place), `init` (the new version's, which may
//! migrate), `gate` (it starts and proves itself, if it ran before; [`gate`]). Then one write decides that it is
//! kept, and `tidy` removes the snapshot and the old package.
//!
//! Whatever fails before that write, the death of the core too, is rolled back ([`rollback`]): the version before
//! runs on its data as it was, and a record says why. What can be refused by looking at the two packages is
//! refused before `begin` ([`plan`]).

mod called_off;
mod gate;
mod plan;
mod rollback;
mod sight;
mod snapshot;

pub use called_off::CalledOff;
pub(super) use called_off::Updates;
pub(super) use gate::Figures;
pub(super) use rollback::{resume, to_its_end};

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc, time::Duration};

use coppice_clock::Mono;
use coppice_s9pk::Manifest;
use coppice_wire::runtime::InitKind;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use self::{
    called_off::Listener,
    plan::{End, plan},
    sight::Sight,
};
use super::{
    Jobs,
    install::{Installed, Source, make_folders, volumes},
    journal::Journal,
    progress,
    uninstall::{EXIT_PATIENCE, UP_PATIENCE, exit},
    wait_initialised,
};
use crate::{
    effects::read_version,
    host::Host,
    hosts,
    model::{ArchivePointer, Before, HealthResult, InstallingInfo, JobKind, StateInfo, Update},
    packages::Opened,
    problem::{Kind, Problem},
    service::{ContainerPhase, RuntimePhase, ServiceContext, tasks},
};

/// How long the installed version's `main` may take to be down: the runtime's own deadlines, one after another.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(4 * 60);

/// Updates a service to the version in a package file that was looked at.
///
/// # Errors
/// When the version may not follow the installed one, or did not prove itself. The service is then what it was.
#[tracing::instrument(name = "update", skip(jobs, source, opened))]
pub(super) async fn update(
    jobs: &Jobs,
    source: &Source,
    opened: &Opened,
    package: &str,
) -> Result<Installed, Problem> {
    to_its_end(jobs, package).await?;
    let listener = jobs.updates.listen(package);
    let failing = failing(&jobs.host, package);
    let mut journal = match begin(&jobs.host, opened, package).await {
        Ok(journal) => journal,
        Err(problem) => {
            let to = opened.manifest.version.to_string();
            rollback::refused(&jobs.host, package, &to, &problem.details).await;
            return Err(problem);
        }
    };
    let run = Run {
        jobs,
        source,
        opened,
        listener: &listener,
        failing,
    };
    let proved = run.by_steps(&mut journal).await;
    let called_off = listener.decide();
    let kept = match (proved, &called_off) {
        (_, Some(how)) => Err(how.problem()),
        (Ok(()), None) => keep(&jobs.host, &mut journal).await,
        (Err(problem), None) => Err(problem),
    };
    match kept {
        Ok(from) => {
            rollback::tidy(jobs, journal).await;
            Ok(Installed {
                id: package.to_owned(),
                version: opened.manifest.version.to_string(),
                from: Some(from),
            })
        }
        Err(problem) => Err(rollback::after(jobs, &journal, problem, called_off).await),
    }
}

/// The checks that fail now: what was ill before is no fault of what comes.
fn failing(host: &Host, id: &str) -> BTreeSet<String> {
    let health = host
        .document
        .package(id)
        .map(|entry| entry.status_info.health);
    let reported = health.into_iter().flatten();
    let failing = reported.filter(|(_, check)| check.result == HealthResult::Failure);
    failing.map(|(check, _)| check).collect()
}

/// One write: what comes, and the journal's row.
async fn begin(host: &Arc<Host>, opened: &Opened, id: &str) -> Result<Journal, Problem> {
    let serialised = |error| Problem::of(Kind::Serialization, &error);
    let new_manifest = serde_json::to_value(&opened.manifest).map_err(serialised)?;
    let installed = host.document.package(id);
    let installed = installed.ok_or_else(|| crate::document::not_installed(id))?;
    let old: Manifest =
        serde_json::from_value(installed.state_info.manifest().clone()).map_err(serialised)?;
    let data =
        read_version(&volumes(host, id)).map_err(|error| Problem::of(Kind::Filesystem, &error))?;
    let new = &opened.manifest;
    let ends = (
        End {
            version: old.version.version(),
            migrates: &old.can_migrate_to,
        },
        End {
            version: new.version.version(),
            migrates: &new.can_migrate_from,
        },
    );
    let planned = plan(data.as_deref(), ends.0, ends.1)
        .map_err(|refused| Problem::invalid(format!("`{id}`: {refused}")))?;
    if planned.by_old
        && host
            .service(id)
            .is_none_or(|one| !one.phase.borrow().is_initialised())
    {
        return Err(Problem::invalid(format!(
            "only the installed version of `{id}` can turn its data into what {} takes over, and it is not up; \
             see `coppice service why {id}`, then update again",
            new.version
        )));
    }
    let (instance, root) = (id.to_owned(), opened.root.clone());
    let versions = (old.version.to_string(), new.version.to_string());
    host.document
        .transact("jobs", "update", move |transaction| {
            let mut entry = transaction.package(&instance)?;
            let kept = transaction.private(&instance)?;
            let StateInfo::Installed { manifest } = entry.state_info else {
                return Err(Problem::invalid(format!(
                    "`{instance}` is {}; wait until that has ended",
                    entry.state_info.name()
                )));
            };
            let journal = Journal::new(
                JobKind::Update(Box::new(Update {
                    from: versions.0,
                    to: versions.1,
                    archive: ArchivePointer { root },
                    old_archive: kept.archive,
                    target: planned.target,
                    before: None,
                })),
                &instance,
            );
            entry.state_info = StateInfo::Updating {
                manifest,
                installing_info: InstallingInfo {
                    new_manifest,
                    progress: shown(Phase::Unpacking, &Value::Bool(false)),
                },
            };
            transaction.put_package(&instance, &entry)?;
            transaction.put_job(&journal.id, &journal.record);
            Ok(journal)
        })
        .await
}

/// What people see of an update, in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Unpacking,
    Stopping,
    Copying,
    Updating,
    Checking,
}

impl Phase {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Unpacking, "Unpacking"),
        (Self::Stopping, "Stopping"),
        (Self::Copying, "Copying its data"),
        (Self::Updating, "Updating"),
        (Self::Checking, "Checking"),
    ];
}

/// Progress in the shape of the document, while it is at `now`.
fn shown(now: Phase, at: &Value) -> Value {
    let phases = Phase::ALL.map(|(phase, name)| {
        let progress = match phase.cmp(&now) {
            std::cmp::Ordering::Less => Value::Bool(true),
            std::cmp::Ordering::Equal => at.clone(),
            std::cmp::Ordering::Greater => Value::Null,
        };
        (name, progress)
    });
    progress(&phases)
}

/// Shows every so many bytes how far something is, and hears whether it is called off.
fn counting(
    host: &Arc<Host>,
    id: &str,
    phase: Phase,
    listener: &Listener,
) -> impl FnMut(u64, u64) -> ControlFlow<()> + Send + use<> {
    let (host, id, hearing) = (Arc::clone(host), id.to_owned(), listener.hearing());
    let mut next = 0;
    move |done, total| {
        if hearing.borrow().is_some() {
            return ControlFlow::Break(());
        }
        if done >= next || done == total {
            next = done + super::install::SHOW_EVERY;
            let counted = json!({ "done": done, "total": total, "units": "bytes" });
            host.document.publish_progress(&id, &shown(phase, &counted));
        }
        ControlFlow::Continue(())
    }
}

/// An update under way.
struct Run<'a> {
    jobs: &'a Jobs,
    source: &'a Source,
    opened: &'a Opened,
    listener: &'a Listener,
    /// Checks that do not count.
    failing: BTreeSet<String>,
}

impl Run<'_> {
    async fn by_steps(&self, journal: &mut Journal) -> Result<(), Problem> {
        let host = &self.jobs.host;
        let id = journal.record.instance.clone();
        let show = |phase| {
            let begun = shown(phase, &Value::Bool(false));
            host.document.publish_progress(&id, &begun);
        };

        journal.step(host, "ingest").await?;
        let mut count = counting(host, &id, Phase::Unpacking, self.listener);
        let total = self.opened.size;
        // It ends by itself when the update is called off; what went on in a thread could not be undone.
        let count = move |done| count(done, total);
        host.packages
            .ingest(self.source.path(), &self.opened.root, count)
            .await?;

        show(Phase::Stopping);
        self.stop(journal).await?;

        journal.step(host, "snapshot").await?;
        let mut count = counting(host, &id, Phase::Copying, self.listener);
        let taken = snapshot::take(self.jobs, &id, move |progress| {
            count(progress.done, progress.total)
        });
        self.listener.unless(taken).await?;

        show(Phase::Updating);
        journal.step(host, "exit").await?;
        self.listener
            .unless(exit(self.jobs, &id, EXIT_PATIENCE))
            .await?;

        journal.step(host, "swap").await?;
        self.swap(journal).await?;

        journal.step(host, "init").await?;
        let service = self.jobs.start_tree(&id).await?;
        let watching = show_init(&service);
        let initialised = wait_initialised(&service, self.jobs.pace.init);
        let initialised = self.listener.unless(initialised).await;
        watching.abort();
        initialised?;

        show(Phase::Checking);
        journal.step(host, "gate").await?;
        self.prove(&service, journal).await
    }

    /// From here on it is not what it was, so that is noted first. Then its `main` goes down, or the whole of it
    /// when that does not come to rest.
    async fn stop(&self, journal: &mut Journal) -> Result<(), Problem> {
        let host = &self.jobs.host;
        let id = journal.record.instance.clone();
        journal.trace("done", "stop");
        "stop".clone_into(&mut journal.record.step);
        let mut written = journal.clone();
        *journal = host
            .document
            .transact("jobs", "stop", move |transaction| {
                let id = &written.record.instance;
                let mut entry = transaction.package(id)?;
                let mut before = entry.clone();
                before.status_info.health.clear();
                before.daemons.clear();
                entry.status_info.desired = entry.status_info.desired.stop();
                transaction.put_package(id, &entry)?;
                if let JobKind::Update(update) = &mut written.record.kind {
                    update.before = Some(Before {
                        entry: before,
                        pending_init: transaction.private(id)?.pending_init,
                        plugged: hosts::plugged::of(transaction, id)?,
                    });
                }
                transaction.put_job(&written.id, &written.record);
                Ok(written)
            })
            .await?;
        let down = async {
            let Some(service) = host.service(&id) else {
                return false;
            };
            service.reports.clear();
            service.raise_wish();
            comes_to_rest(&service, self.jobs.pace.look).await
        };
        if !self.listener.unless(async { Ok(down.await) }).await? {
            tracing::warn!(service = id, "it does not come to rest, and is taken down");
            self.jobs.take_down(&id).await?;
        }
        Ok(())
    }

    /// The new package in the old one's place. What the old one declared stays, as the contract has it.
    async fn swap(&self, journal: &Journal) -> Result<(), Problem> {
        let host = &self.jobs.host;
        let id = journal.record.instance.clone();
        self.jobs.take_down(&id).await?;
        make_folders(host, &id, &self.opened.manifest)?;
        let opened = self.opened.clone();
        host.document
            .transact("jobs", "swap", move |transaction| {
                let mut entry = transaction.package(&id)?;
                let mut kept = transaction.private(&id)?;
                entry.icon = opened.icon;
                entry.developer_key = opened.signer;
                entry.parked = None;
                entry.held = None;
                entry.status_info.error = None;
                entry.went_down();
                kept.archive.root = opened.root;
                kept.pending_init = Some(InitKind::Update);
                transaction.put_package(&id, &entry)?;
                transaction.put_private(&id, &kept);
                Ok(())
            })
            .await
    }

    /// Starts the new version if the one before ran, and looks at it until it has proved itself.
    async fn prove(&self, service: &Arc<ServiceContext>, journal: &Journal) -> Result<(), Problem> {
        let before = match &journal.record.kind {
            JobKind::Update(update) => update.before.as_ref(),
            JobKind::Install { .. } | JobKind::Uninstall { .. } => None,
        };
        let ran = |before: &Before| before.entry.status_info.desired.wants_running();
        if !before.is_some_and(ran) {
            return Ok(());
        }
        let wanted = service.update("update-start", |entry| {
            let wanted = tasks::blocking(entry).is_none();
            if wanted {
                entry.status_info.desired = entry.status_info.desired.start();
            }
            Ok(wanted)
        });
        if !wanted.await? {
            return Ok(());
        }
        service.raise_wish();
        let sight = Sight::of(service, self.failing.clone())?;
        let passes = async {
            let figures = self.jobs.pace.gate;
            let mut state = gate::State::begin(figures, Mono::now());
            loop {
                tokio::time::sleep(self.jobs.pace.look).await;
                state = state.step(sight.look(service), figures, Mono::now());
                match state {
                    gate::State::Passed => return Ok(()),
                    gate::State::Failed(why) => {
                        return Err(Problem::new(Kind::UpdateFailed, why));
                    }
                    _ => {}
                }
            }
        };
        self.listener.unless(passes).await
    }
}

/// Whether a service's `main` comes to be down, with its runtime there to be asked more.
async fn comes_to_rest(service: &ServiceContext, look: Duration) -> bool {
    let is_parked = service.entry().is_ok_and(|entry| entry.parked.is_some());
    let mut container = service.container.subscribe();
    let found = container.wait_for(|phase| *phase == ContainerPhase::Up);
    if is_parked || !matches!(tokio::time::timeout(UP_PATIENCE, found).await, Ok(Ok(_))) {
        return false;
    }
    let rests = async {
        // A core that has just come back may meet a runtime that idles before it is told that `main` is up: the
        // document knows.
        let down = || {
            service
                .entry()
                .is_ok_and(|entry| entry.status_info.started.is_none())
        };
        while *service.phase.borrow() != RuntimePhase::Idle || !down() {
            tokio::time::sleep(look).await;
        }
    };
    tokio::time::timeout(STOP_PATIENCE, rests).await.is_ok()
}

/// Shows the package's own progress through its `init`.
fn show_init(service: &Arc<ServiceContext>) -> JoinHandle<()> {
    super::install::show_init(service, |init| shown(Phase::Updating, init))
}

/// One write: the new version is the installed one. Gives the one before.
async fn keep(host: &Host, journal: &mut Journal) -> Result<String, Problem> {
    let mut written = journal.clone();
    rollback::TIDY.clone_into(&mut written.record.step);
    let (kept, from) = host
        .document
        .transact("jobs", "update-commit", move |transaction| {
            let id = &written.record.instance;
            let mut entry = transaction.package(id)?;
            let StateInfo::Updating {
                installing_info, ..
            } = entry.state_info
            else {
                return Err(Problem::new(
                    Kind::Incoherent,
                    format!(
                        "`{id}` is {} in the midst of its update",
                        entry.state_info.name()
                    ),
                ));
            };
            entry.state_info = StateInfo::Installed {
                manifest: installing_info.new_manifest,
            };
            super::install::drop_lost_tasks(id, &mut entry);
            let mut server = transaction.server()?;
            hosts::free_unused(&mut server.ports, id, &entry.hosts);
            transaction.put_server(&server);
            transaction.put_package(id, &entry)?;
            let JobKind::Update(update) = &mut written.record.kind else {
                return Err(Problem::new(Kind::Incoherent, "this job is no update"));
            };
            // Nobody goes back to that any more.
            update.before = None;
            let from = update.from.clone();
            transaction.put_job(&written.id, &written.record);
            Ok((written, from))
        })
        .await?;
    journal.trace("done", rollback::TIDY);
    *journal = kept;
    host.network.changed();
    Ok(from)
}

#[cfg(test)]
mod tests;
