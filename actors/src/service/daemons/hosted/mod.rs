//! Daemons that Coppice itself keeps running for a service.
//!
//! A package declares them as data, in its `main` (the effect `set-daemons`), and Coppice does the
//! rest: it starts them in their order, starts one again that dies, whatever its JavaScript is doing,
//! and ends them in reverse. They outlive the Node runtime and the core.
//!
//! ```text
//! work
//! ├─ hosted    one_for_one: one [`actor`] per declared daemon, permanent
//! └─ hosting   the [`manager`]: adds and ends them, as the [`plan`] says
//! ```
//!
//! A declaration holds until another replaces it, the service is stopped or restarted, or its
//! container ends. So a daemon never runs before the `init` of its package's present version.
//!
//! A daemon that dies is started again at once; when it dies again before it was up for five seconds,
//! after 50 ms, then 100, and so on up to 10 s. More than ten times in a minute are too many: `hosted` gives up, and the service begins anew in a new container.

pub mod actor;
pub mod declared;
pub mod manager;
pub mod plan;
pub mod ready;
pub mod roster;
pub mod step;

use std::{sync::Arc, time::Duration};

use coppice_supervision::{Backoff, SupervisorSpec};

pub(super) use self::declared::is_declared;
pub(in super::super) use self::declared::roots;
pub use self::{
    declared::{DaemonSpec, Declarations, check},
    manager::{HostingActor, HostingMsg},
    roster::Roster,
};
use super::super::ServiceContext;
use crate::{
    blocking::blocking,
    problem::{Kind, Problem},
};

/// Name of the supervisor of these daemons.
pub const SUPERVISOR: &str = "hosted";
/// Uptime after which earlier deaths are forgotten.
const PROVEN: Duration = Duration::from_secs(5);

/// The supervisor of the declared daemons, empty.
pub(in super::super) fn supervisor() -> SupervisorSpec {
    SupervisorSpec::one_for_one(SUPERVISOR)
        .intensity(10, Duration::from_secs(60))
        .backoff(Backoff::doubling(
            Duration::from_millis(50),
            Duration::from_secs(10),
        ))
        .forget_after(PROVEN)
}

/// Declares the daemons of a service; they replace those declared before.
///
/// # Errors
/// When the list cannot be kept.
pub async fn declare(service: &Arc<ServiceContext>, specs: Vec<DaemonSpec>) -> Result<(), Problem> {
    let _alone = service.hosted.declaring.lock().await;
    replace(service, specs).await
}

/// Takes back whatever is declared, and waits until no daemon of it is left.
///
/// # Errors
/// As [`declare`].
pub async fn withdraw(service: &Arc<ServiceContext>) -> Result<(), Problem> {
    declare(service, Vec::new()).await?;
    service.hosted.emptied().await;
    Ok(())
}

/// Takes back what is declared for a service that was not to run.
async fn drop_void(service: &Arc<ServiceContext>) -> Result<(), Problem> {
    let _alone = service.hosted.declaring.lock().await;
    // Wanted again by now, its `main` may have declared them anew.
    if !service.hosted.is_void() {
        return Ok(());
    }
    replace(service, Vec::new()).await
}

async fn replace(service: &Arc<ServiceContext>, specs: Vec<DaemonSpec>) -> Result<(), Problem> {
    let writer = Arc::clone(service);
    let written = blocking(move || {
        let secrets = &writer.host.secrets;
        let before = Declarations::load(secrets, &writer.id)?;
        let now = if writer.hosted.is_void() {
            before.replaced_by(Vec::new()).replaced_by(specs)
        } else {
            before.replaced_by(specs)
        };
        if now == before {
            return Ok(());
        }
        now.store(secrets, &writer.id)
    });
    written
        .await
        .map_err(|error| Problem::of(Kind::Unknown, &error))??;
    service.hosted.holds();
    service.raise_wish();
    Ok(())
}

#[cfg(test)]
mod tests;
