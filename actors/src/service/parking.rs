//! A parked service and its owner: what a stop and a start mean for it.
//!
//! A parked service is tried again from time to time, because running is what is wanted of it. Once
//! a stop is wanted nothing is: its tree is taken from the supervisor, so that it is neither tried
//! nor shown as parked, and a start puts it back.

use std::sync::Arc;

use coppice_supervision::{ChildSpec, ChildState, CommandError, Supervisor};

use super::{ServiceContext, instance_spec};
use crate::{jobs::Jobs, model::PackageEntry};

/// A parked service that nobody wants running is left in peace. Does nothing to one that is not
/// parked, or is wanted running. Asked for after a stop, and after the parking of a service that was
/// stopped before it failed.
pub async fn rest(services: &Supervisor, service: &ServiceContext) {
    let _one_at_a_time = service.parking.lock().await;
    let wanted = |entry: PackageEntry| entry.status_info.desired.wants_running();
    if service.entry().is_ok_and(wanted) {
        return;
    }
    let children = services.which_children().await;
    let parked = children.is_ok_and(|known| {
        let mut children = known.children.iter();
        children.any(|child| {
            child.id.as_str() == service.id && matches!(child.state, ChildState::Parked { .. })
        })
    });
    if !parked {
        return;
    }
    // Gone in this moment means that somebody else ended it.
    let _ = services.terminate(service.id.as_str()).await;
    let written = service.update("stop-parked", |entry| {
        entry.parked = None;
        // Why it failed is on record; a service that is stopped is not failing.
        entry.status_info.error = None;
        Ok(())
    });
    if let Err(error) = written.await {
        tracing::warn!(service = service.id, %error, "the end of parking was not noted");
    }
}

/// After a start: a parked service is tried at once, and one that was left in peace has a tree again.
pub async fn wake(jobs: &Jobs, service: &Arc<ServiceContext>) {
    let _one_at_a_time = service.parking.lock().await;
    let services = &jobs.services;
    let unparked = services.unpark(service.id.as_str()).await;
    // A failed try parks it again, with its reason; a service that was removed meanwhile has no tree.
    if !service.has_tree() || !matches!(unparked, Err(CommandError::NotFound { .. })) {
        return;
    }
    let tree = ChildSpec::supervisor(instance_spec(service));
    if let Err(error) = services.add(tree).await {
        tracing::warn!(service = service.id, %error, "a service's tree did not come up; it is tried again");
        service.host.remove_service(&service.id);
        jobs.start_tree_later(service.id.clone());
    }
}
