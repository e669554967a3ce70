//! Making a service's container anew: what is in its root beside the volumes is gone, the volumes stay.
//!
//! There is nothing to put back: a service that is installed and has no container gets one, from the next life of
//! the core too. So this needs no row in the journal.

use super::{
    Jobs,
    uninstall::{EXIT_PATIENCE, exit},
    update,
};
use crate::{model::StateInfo, problem::Problem};

/// Makes the container of a service anew; what is wanted of it stays.
///
/// # Errors
/// When it is not installed, another job is about it, or its container cannot be removed.
pub async fn rebuild(jobs: &Jobs, id: &str) -> Result<(), Problem> {
    let (own, name) = (jobs.clone(), id.to_owned());
    let work = async move {
        update::to_its_end(&own, &name).await?;
        let rebuilt = rebuild_alone(&own, &name).await;
        if own.host.document.package(&name).is_some() {
            own.come_back(&name).await;
        }
        rebuilt
    };
    jobs.runner.run("rebuild", id, work).await
}

#[tracing::instrument(name = "rebuild", skip(jobs))]
async fn rebuild_alone(jobs: &Jobs, package: &str) -> Result<(), Problem> {
    let document = &jobs.host.document;
    let entry = document.package(package);
    let entry = entry.ok_or_else(|| crate::document::not_installed(package))?;
    if !matches!(entry.state_info, StateInfo::Installed { .. }) {
        return Err(Problem::invalid(format!(
            "`{package}` is {}; wait until that has ended",
            entry.state_info.name()
        )));
    }
    if let Err(problem) = exit(jobs, package, EXIT_PATIENCE).await {
        tracing::warn!(package, %problem, "its container is removed by force");
    }
    jobs.take_down(package).await?;
    document
        .update_package(package, "rebuild", |entry| {
            entry.parked = None;
            entry.held = None;
            entry.status_info.error = None;
            entry.went_down();
            Ok(())
        })
        .await
}
