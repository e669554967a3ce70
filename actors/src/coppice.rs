//! What may be asked of the server: one handle for every way in.
//!
//! Invariant: a wish is durable before anybody acts on it. Nothing here knows HTTP, sessions or
//! who may ask: that is the gateway's business.

mod summary;
mod tree;
mod usage;
mod why;

pub use summary::ServiceSummary;
pub use tree::TreeNode;
pub use usage::ServiceUsage;
pub use why::Why;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use coppice_containers::Limits;
use coppice_supervision::Supervisor;
use serde_json::{Map, Value};

use crate::{
    forest,
    host::Host,
    jobs::{self, CalledOff, Installed, Jobs, Manner, Source},
    logs::ServiceLogs,
    model::{Asked, By, ChosenLimits, DaemonReport, DesiredStatus, PackageEntry, StateInfo},
    network::Watch,
    problem::{Kind, Problem},
    receipts::Upgraded,
    service::{
        Asker, ServiceContext, actions,
        container::{ContainerMsg, step::Input},
        limits, parking, records, tasks,
    },
};

/// A core that has just begun ends what the last one left half done, and then grows its trees.
const BRING_UP_PATIENCE: Duration = Duration::from_secs(20);
/// What a package has to end by itself when everything is stopped: the SDK gives a daemon 60 s.
const STOP_PATIENCE: Duration = Duration::from_secs(150);

/// The server, as the gateway has it.
#[derive(Clone)]
pub struct Coppice {
    jobs: Jobs,
    root: Supervisor,
}

impl Coppice {
    /// The server whose root supervisor is `root`.
    #[must_use]
    pub const fn new(jobs: Jobs, root: Supervisor) -> Self {
        Self { jobs, root }
    }

    /// Whether the root supervisor answers: what shows that this process is alive, and not only there.
    pub async fn is_alive(&self) -> bool {
        self.root.child(forest::SERVICES).await.is_ok()
    }

    /// Whether the server may be taken down for a moment to run another program.
    ///
    /// # Errors
    /// While a package is installed, updated or removed: that would be cut short.
    pub fn may_upgrade(&self) -> Result<(), Problem> {
        match self.host().document.jobs().values().next() {
            None => Ok(()),
            Some(job) => Err(Problem::invalid(format!(
                "`{}` is being installed, updated or removed; try again when that is done",
                job.instance
            ))),
        }
    }

    /// Keeps how an upgrade ended, and shows it while it came to nothing.
    pub async fn show_upgrade(&self, upgraded: &Upgraded) {
        let host = self.host();
        if let Err(problem) = host.document.add_upgrade_receipt(upgraded).await {
            tracing::warn!(%problem, "no receipt of the upgrade was kept");
        }
        let program = &upgraded.program;
        let notice = upgraded.problem.as_ref().map(|why| {
            format!("The upgrade to `{program}` was not done: {why}. Coppice goes on as before.")
        });
        let notices = &host.network.notices;
        let list = notice.into_iter().collect();
        notices.show(&host.document, Watch::Upgrade, list).await;
    }

    /// The server's parts.
    #[must_use]
    pub fn host(&self) -> &Arc<Host> {
        &self.jobs.host
    }

    /// Installs a package file, or updates the package that is there. It goes on when the caller hangs up.
    ///
    /// # Errors
    /// As [`jobs::install`].
    pub async fn install(&self, source: Source) -> Result<Installed, Problem> {
        jobs::install(&self.jobs, source).await
    }

    /// Removes a service. It goes on when the caller hangs up.
    ///
    /// # Errors
    /// As [`jobs::uninstall`].
    pub async fn uninstall(&self, id: &str, manner: Manner) -> Result<(), Problem> {
        jobs::uninstall(&self.jobs, id, manner).await
    }

    /// Calls the update of a service off: the version before is put back, and runs if it ran.
    ///
    /// # Errors
    /// When no update of it is under way.
    pub fn cancel_update(&self, id: &str, by: By) -> Result<(), Problem> {
        if self.jobs.call_off(id, CalledOff { by, stop: false }) {
            return Ok(());
        }
        Err(Problem::invalid(format!(
            "no update of `{id}` is under way that could be called off"
        )))
    }

    /// Makes the container of a service anew. It goes on when the caller hangs up.
    ///
    /// # Errors
    /// As [`jobs::rebuild`].
    pub async fn rebuild(&self, id: &str) -> Result<(), Problem> {
        jobs::rebuild(&self.jobs, id).await
    }

    /// Every package with its state.
    #[must_use]
    pub fn list(&self) -> Vec<ServiceSummary> {
        let packages = self.host().document.packages();
        packages
            .iter()
            .map(|(id, entry)| self.summary(id, entry))
            .collect()
    }

    /// One package with its state.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn status(&self, id: &str) -> Result<(ServiceSummary, PackageEntry), Problem> {
        let entry = self.entry(id)?;
        Ok((self.summary(id, &entry), entry))
    }

    /// Wants a service running.
    ///
    /// # Errors
    /// When it is not installed, or a critical task comes first and `force` is not set.
    pub async fn start(&self, id: &str, force: bool, by: By) -> Result<(), Problem> {
        let service = self.installed(id).await?;
        service
            .update("start", move |entry| {
                if let (Some(task), false) = (tasks::blocking(entry), force) {
                    return Err(blocked(task));
                }
                let waits = entry.parked.is_some() || entry.held.is_some();
                let wish = entry.status_info.desired.start();
                if wish != entry.status_info.desired || waits {
                    records::note_wish(entry, by, Asked::Start);
                }
                entry.status_info.desired = wish;
                Ok(())
            })
            .await?;
        parking::wake(&self.jobs, &service).await;
        service.raise_wish();
        service.try_at_once();
        Ok(())
    }

    /// Wants a service stopped. This always wins: an update under way is called off for it.
    ///
    /// # Errors
    /// When it is not installed.
    pub async fn stop(&self, id: &str, by: By) -> Result<(), Problem> {
        let how = CalledOff {
            by: by.clone(),
            stop: true,
        };
        if self.jobs.call_off(id, how) {
            return Ok(());
        }
        let service = self.installed(id).await?;
        service
            .update("stop", |entry| {
                let wish = entry.status_info.desired.stop();
                if wish != entry.status_info.desired {
                    records::note_wish(entry, by, Asked::Stop);
                    // Why it failed is on record; a service that is stopped is not failing.
                    entry.status_info.error = None;
                }
                entry.status_info.desired = wish;
                Ok(())
            })
            .await?;
        parking::rest(&self.jobs.services, &service).await;
        service.reports.clear();
        service.raise_wish();
        Ok(())
    }

    /// Wants a running service stopped and started.
    ///
    /// # Errors
    /// When it is not installed or not meant to run.
    pub async fn restart(&self, id: &str, by: By) -> Result<(), Problem> {
        let service = self.installed(id).await?;
        let name = id.to_owned();
        service
            .update("restart", move |entry| {
                let status = &mut entry.status_info;
                if status.desired == DesiredStatus::Stopped {
                    return Err(Problem::invalid(format!(
                        "`{name}` is stopped; start it instead"
                    )));
                }
                let wish = status.desired.restart(status.started.is_some());
                if wish != status.desired {
                    status.desired = wish;
                    records::note_wish(entry, by, Asked::Restart);
                }
                Ok(())
            })
            .await?;
        parking::wake(&self.jobs, &service).await;
        service.reports.clear();
        service.raise_wish();
        service
            .container_slot
            .cast(ContainerMsg::Input(Input::Release));
        Ok(())
    }

    /// The form of an action, or null when it has none.
    ///
    /// # Errors
    /// As [`actions::get_input`].
    pub async fn get_input(
        &self,
        id: &str,
        action: &str,
        prefill: Option<Map<String, Value>>,
    ) -> Result<Value, Problem> {
        actions::get_input(&self.installed(id).await?, action, None, prefill).await
    }

    /// Runs an action for a person; gives its result in the present form.
    ///
    /// # Errors
    /// As [`actions::run`].
    pub async fn run_action(
        &self,
        id: &str,
        action: &str,
        event: Option<String>,
        input: Value,
        account: &str,
    ) -> Result<Value, Problem> {
        let service = self.installed(id).await?;
        let (title, asker) = (
            self.action_title(id, action),
            Asker::User(account.to_owned()),
        );
        let result = actions::run(&service, action, event, input, &asker).await?;
        Ok(actions::present_result(result, &title))
    }

    fn action_title(&self, id: &str, action: &str) -> String {
        let entry = self.host().document.package(id);
        let known = entry.and_then(|mut entry| entry.actions.remove(action));
        known.map_or_else(|| action.to_owned(), |described| described.name)
    }

    /// Dismisses a task.
    ///
    /// # Errors
    /// When there is no such task, or it is critical and `force` is not set.
    pub async fn clear_task(&self, id: &str, replay_id: &str, force: bool) -> Result<(), Problem> {
        let service = self.installed(id).await?;
        let (name, replay_id) = (id.to_owned(), replay_id.to_owned());
        service
            .update("clear-task", move |entry| {
                let Some(one) = entry.tasks.get(&replay_id) else {
                    return Err(Problem::not_found(format!(
                        "`{name}` has no task `{replay_id}`"
                    )));
                };
                if one.task.severity == crate::model::Severity::Critical && !force {
                    return Err(Problem::invalid(format!(
                        "task `{replay_id}` of `{name}` is required; do it instead of dismissing it"
                    )));
                }
                entry.tasks.remove(&replay_id);
                Ok(())
            })
            .await
    }

    /// The living daemons of a service with what they use now, by the agent's names for them.
    ///
    /// # Errors
    /// When it is not installed.
    pub async fn daemons(&self, id: &str) -> Result<BTreeMap<String, DaemonReport>, Problem> {
        self.entry(id)?;
        let Some(service) = self.host().service(id) else {
            return Ok(BTreeMap::new());
        };
        service.shown.measure(&service).await;
        Ok(service.shown.all())
    }

    /// What the owner of a service allows it to use, and what that comes to with Coppice's own limits.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn limits(&self, id: &str) -> Result<(ChosenLimits, Limits), Problem> {
        let chosen = self.entry(id)?.limits;
        Ok((chosen, limits::effective(&chosen)))
    }

    /// Sets what a service may use.
    ///
    /// # Errors
    /// When it is not installed, or as [`limits::set`].
    pub async fn set_limits(&self, id: &str, chosen: ChosenLimits) -> Result<(), Problem> {
        limits::set(&self.installed(id).await?, chosen).await
    }

    /// The logs of a service.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn logs(&self, id: &str) -> Result<ServiceLogs, Problem> {
        self.entry(id)?;
        Ok(ServiceLogs::in_folder(
            &self
                .host()
                .layout
                .data
                .join("services")
                .join(id)
                .join("logs"),
        ))
    }

    /// What the core itself wrote, this one and those before it.
    #[must_use]
    pub fn own_logs(&self) -> ServiceLogs {
        ServiceLogs::in_folder(&self.host().layout.data.join("logs"))
    }

    /// Has every package end what it runs and takes its container down, in reverse order of dependence;
    /// what is wanted stays as it is, so the next start brings everything back.
    pub async fn stop_everything(&self) {
        let ids = in_start_order(&self.host().document.packages());
        for id in ids.into_iter().rev() {
            if let Err(problem) = jobs::exit(&self.jobs, &id, STOP_PATIENCE).await {
                tracing::warn!(service = id, %problem, "a service is ended by force");
            }
            if let Err(problem) = self.jobs.take_down(&id).await {
                tracing::warn!(service = id, %problem, "a container was not taken down");
            }
        }
    }

    /// Shows which listening sockets could not be opened, and why; none clears the notice.
    pub async fn show_closed_ports(&self, closed: Vec<String>) {
        let notices = closed
            .iter()
            .map(|port| format!("A port is in use by another program ({port}). End that program, or choose another port."))
            .collect();
        let host = self.host();
        let shown = host
            .network
            .notices
            .show(&host.document, Watch::Listeners, notices);
        shown.await;
    }

    /// Where an uploaded package may be kept until its job ends.
    #[must_use]
    pub fn upload_folder(&self) -> &Path {
        self.host().packages.uploads()
    }

    fn entry(&self, id: &str) -> Result<PackageEntry, Problem> {
        self.host()
            .document
            .package(id)
            .ok_or_else(|| crate::document::not_installed(id))
    }

    async fn installed(&self, id: &str) -> Result<Arc<ServiceContext>, Problem> {
        let entry = self.entry(id)?;
        if !matches!(entry.state_info, StateInfo::Installed { .. }) {
            return Err(Problem::invalid(format!(
                "`{id}` is {}; wait until that has ended",
                entry.state_info.name()
            )));
        }
        let host = self.host();
        if let Some(service) = host.service(id) {
            return Ok(service);
        }
        // Commands are heard before all trees are there.
        let mut brought_up = host.brought_up.subscribe();
        let done = brought_up.wait_for(|done| *done);
        let _ = tokio::time::timeout(BRING_UP_PATIENCE, done).await;
        host.service(id).ok_or_else(|| without_tree(id, &entry))
    }
}

/// Why nothing can be asked of a service whose actors are not there: they did not come up, and are tried again.
fn without_tree(id: &str, entry: &PackageEntry) -> Problem {
    let parked = entry.parked.as_ref().map(|parked| {
        let reason = &parked.reason;
        format!(", it is parked because it failed too often ({reason})")
    });
    let why = format!(
        "`{id}` is installed{}, and its actors did not come up; Coppice tries them again every {} s: ask again then, and see \
         `coppice server logs` for what keeps them",
        parked.unwrap_or_default(),
        jobs::PLANT_AGAIN.as_secs()
    );
    Problem::new(Kind::Unknown, why)
}

fn blocked(task: &crate::model::Task) -> Problem {
    let reason = task
        .reason
        .as_deref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    Problem::invalid(format!(
        "action `{}` of `{}` has to be run first{reason}; run it, then start again",
        task.action_id, task.package_id
    ))
}

/// Package ids so that each comes after what it depends on; a circle is cut anywhere.
#[must_use]
pub fn in_start_order(packages: &BTreeMap<String, PackageEntry>) -> Vec<String> {
    fn visit(
        id: &str,
        packages: &BTreeMap<String, PackageEntry>,
        seen: &mut std::collections::BTreeSet<String>,
        order: &mut Vec<String>,
    ) {
        let Some(entry) = packages.get(id) else {
            return;
        };
        if seen.insert(id.to_owned()) {
            for dependency in entry.current_dependencies.keys() {
                visit(dependency, packages, seen, order);
            }
            order.push(id.to_owned());
        }
    }
    let (mut seen, mut order) = (std::collections::BTreeSet::new(), Vec::new());
    for id in packages.keys() {
        visit(id, packages, &mut seen, &mut order);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parked;

    #[test]
    fn a_service_without_actors_is_told_of_with_its_state_and_the_next_step() {
        let installed = StateInfo::Installed {
            manifest: Value::Null,
        };
        let mut entry = PackageEntry::bare(installed);
        let absent = without_tree("hello", &entry).details;
        assert!(
            absent.starts_with("`hello` is installed, and its actors"),
            "{absent}"
        );
        assert!(absent.contains("tries them again") && absent.contains("coppice server logs"));
        let parked = serde_json::json!({
            "since": "2026-11-27T01:00:00.000Z", "reason": "its runtime ended 5 times in 60 s",
            "nextProbe": "2026-11-27T01:05:00.000Z",
        });
        entry.parked = Some(serde_json::from_value::<Parked>(parked).unwrap());
        let parked = without_tree("hello", &entry).details;
        assert!(
            parked.contains("parked because it failed too often (its runtime"),
            "{parked}"
        );
    }
}
