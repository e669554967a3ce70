//! An update's two ends: the version before is put back, or what it left is tidied away.
//!
//! Invariant: putting back may be run twice and be cut anywhere; the write that ends it gives everything back that
//! the document holds of the service (tasks, addresses, interfaces, actions, what is wanted of it), and tells people
//! why. What its owner allows it to use is no version's, and stays as it is.

use super::{
    super::{Jobs, finish, journal::Journal},
    called_off::CalledOff,
    snapshot,
};
use coppice_clock::Wall;

use crate::{
    document::Transaction,
    host::Host,
    hosts::{self, plugged},
    model::{
        Cause, DesiredStatus, JobKind, Notification, NotificationLevel, PackageEntry, StateInfo,
        Update,
    },
    notifications,
    problem::{Kind, Problem},
    service::{Event, records},
    text,
};

/// The step in which the new version is kept already.
pub(super) const TIDY: &str = "tidy";
/// Bytes of the reason that people are told.
const WHY_BYTES: usize = 3072;
/// Why an update failed that nobody was at any more.
const INTERRUPTED: &str = "Coppice ended while it was under way";

/// What an update's row is about.
fn update(journal: &Journal) -> Result<&Update, Problem> {
    match &journal.record.kind {
        JobKind::Update(update) => Ok(update),
        JobKind::Install { .. } | JobKind::Uninstall { .. } => Err(Problem::new(
            Kind::Incoherent,
            "the journal's row of an update is about something else",
        )),
    }
}

/// Brings an update of this service to its end that was left half done, if there is one.
///
/// # Errors
/// When it is still not at its end.
pub(in crate::jobs) async fn to_its_end(jobs: &Jobs, id: &str) -> Result<(), Problem> {
    for (row, record) in jobs.host.document.jobs() {
        if record.instance == id && matches!(record.kind, JobKind::Update(_)) {
            finish(jobs, Journal { id: row, record }).await?;
            jobs.come_back(id).await;
        }
    }
    Ok(())
}

/// Ends an update that nobody is at: it is rolled back, unless the new version was kept already.
///
/// # Errors
/// When something could not be removed or put back; the journal's row stays.
pub(in crate::jobs) async fn resume(jobs: &Jobs, journal: Journal) -> Result<(), Problem> {
    if journal.record.step == TIDY {
        return tidy_up(jobs, &journal).await;
    }
    roll_back(jobs, &journal, INTERRUPTED, None).await
}

/// Rolls back after a failure; gives what whoever asked for the update is told.
pub(super) async fn after(
    jobs: &Jobs,
    journal: &Journal,
    problem: Problem,
    called_off: Option<CalledOff>,
) -> Problem {
    let Ok(Update { from, to, .. }) = update(journal) else {
        return problem;
    };
    let (id, why) = (&journal.record.instance, &problem.details);
    journal.trace("failed", "rolling back");
    tracing::warn!(package = id, step = journal.record.step, %problem, "update failed; rolling back");
    let details = match roll_back(jobs, journal, why, called_off.as_ref()).await {
        Ok(()) => {
            jobs.come_back(id).await;
            format!("`{id}` was not updated to {to}: {why}; {from} is back, on its data as it was")
        }
        Err(second) => {
            tracing::error!(package = id, problem = %second, "an update was not rolled back in full");
            format!(
                "`{id}` was not updated to {to}: {why}; {from} is not back yet: {second}; that is tried again \
                 when Coppice starts, and by the next `coppice package install`"
            )
        }
    };
    Problem { details, ..problem }
}

/// Makes the service what it was before its update. May be run twice. Its tree is the caller's to start.
///
/// # Errors
/// When something could not be removed or put back; the journal's row stays.
async fn roll_back(
    jobs: &Jobs,
    journal: &Journal,
    why: &str,
    called_off: Option<&CalledOff>,
) -> Result<(), Problem> {
    let (host, id) = (&jobs.host, journal.record.instance.clone());
    let update = update(journal)?.clone();
    if update.before.is_some() {
        jobs.take_down(&id).await?;
        snapshot::put_back(jobs, &id).await?;
    }
    if update.archive != update.old_archive {
        host.packages.remove(&update.archive.root).await?;
    }
    let failed = Failed {
        to: update.to.clone(),
        why: why.to_owned(),
        state: format!("{} is back, on its data as it was", update.from),
        level: match called_off {
            None => NotificationLevel::Error,
            Some(_) => NotificationLevel::Info,
        },
    };
    let (row, stop) = (journal.id.clone(), called_off.is_some_and(|how| how.stop));
    host.document
        .transact("jobs", "roll-back", move |transaction| {
            let now = transaction.package(&id)?;
            let mut kept = transaction.private(&id)?;
            let mut entry = now.clone();
            kept.archive = update.old_archive;
            if let Some(before) = update.before {
                entry = before.entry;
                plugged::carry(&now.hosts, &id, &mut entry.hosts);
                plugged::put_back(transaction, &id, &before.plugged)?;
                entry.restarts = now.restarts;
                // Its owner's, who may have changed them meanwhile; no version has a say in them.
                entry.limits = now.limits;
                entry.parked = None;
                entry.held = None;
                entry.went_down();
                let status = &mut entry.status_info;
                status.error = None;
                if let DesiredStatus::Restarting { .. } = status.desired {
                    status.desired = DesiredStatus::Running;
                }
                kept.pending_init = before.pending_init;
            }
            entry.state_info = StateInfo::Installed {
                manifest: now.state_info.manifest().clone(),
            };
            if stop {
                entry.status_info.desired = entry.status_info.desired.stop();
            }
            failed.tell(transaction, &id, &mut entry)?;
            let mut server = transaction.server()?;
            hosts::free_unused(&mut server.ports, &id, &entry.hosts);
            transaction.put_server(&server);
            transaction.put_package(&id, &entry)?;
            transaction.put_private(&id, &kept);
            transaction.remove_job(&row);
            Ok(())
        })
        .await?;
    host.network.changed();
    Ok(())
}

/// That a service was not updated.
struct Failed {
    to: String,
    why: String,
    /// How it is now.
    state: String,
    level: NotificationLevel,
}

impl Failed {
    /// Puts it on record, and tells the people who look after this server.
    fn tell(
        self,
        transaction: &mut Transaction<'_>,
        id: &str,
        entry: &mut PackageEntry,
    ) -> Result<(), Problem> {
        let Self {
            to,
            mut why,
            state,
            level,
        } = self;
        text::cut(&mut why, WHY_BYTES);
        let told = Notification {
            package_id: Some(id.to_owned()),
            created_at: Wall::now(),
            level,
            title: format!("Not updated to {to}"),
            message: format!("{why}; {state}."),
            data: None,
            seen: false,
        };
        let cause = Cause::UpdateFailed { to, message: why };
        records::note(entry, Event::new("update", cause, state));
        notifications::tell(transaction, &told)
    }
}

/// Tells of an update that was refused.
pub(super) async fn refused(host: &Host, id: &str, to: &str, why: &str) {
    let failed = Failed {
        to: to.to_owned(),
        why: why.to_owned(),
        state: "the installed version was not touched".to_owned(),
        level: NotificationLevel::Error,
    };
    let id = id.to_owned();
    let (package, change) = (id.clone(), "update-refused");
    let told = host.document.transact("jobs", change, move |transaction| {
        let mut entry = transaction.package(&id)?;
        failed.tell(transaction, &id, &mut entry)?;
        transaction.put_package(&id, &entry)
    });
    if let Err(problem) = told.await {
        tracing::warn!(package, %problem, "nobody was told of a refused update");
    }
}

/// Tidies up after the new version was kept. What cannot be removed is removed later.
pub(super) async fn tidy(jobs: &Jobs, journal: Journal) {
    match tidy_up(jobs, &journal).await {
        Ok(()) => journal.trace("done", "over"),
        Err(problem) => {
            journal.trace("failed", "left");
            let package = journal.record.instance;
            tracing::warn!(package, %problem, "what an update left is removed when Coppice starts again");
        }
    }
}

async fn tidy_up(jobs: &Jobs, journal: &Journal) -> Result<(), Problem> {
    let (host, update) = (&jobs.host, update(journal)?);
    snapshot::forget(jobs, &journal.record.instance).await?;
    if update.archive != update.old_archive {
        host.packages.remove(&update.old_archive.root).await?;
    }
    let row = journal.id.clone();
    host.document
        .transact("jobs", "tidied", move |transaction| {
            transaction.remove_job(&row);
            Ok(())
        })
        .await
}
