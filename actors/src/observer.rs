//! What supervisors decide, turned into what people can read and into the fate of containers.
//!
//! Supervisors call the observer from their own tasks and must not wait, so events pass through a
//! channel to [`follow`], which writes parking and the failures of Coppice's own actors into the
//! document. Deaths of containers, runtimes and daemons are recorded by the actors that saw them.
//!
//! One thing cannot wait for the channel: a container that supervisors gave up on is condemned in
//! the very call, before whoever is started next could adopt it (`docs/decisions/0014`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coppice_clock::{Mono, Wall};
use coppice_supervision::{ExitReason, ShutdownDetail, SupervisionEvent, Supervisor, What};
use tokio::sync::mpsc;

use crate::{
    host::Host,
    model::{Cause, Link, Parked},
    service::{Event, ServiceContext, custody, parking, records},
    words,
};

/// Events that may wait; beyond, they are dropped and counted in the log.
const QUEUE: usize = 4096;
/// What the processes of a service that is being parked have to end by themselves.
const PARKING_GRACE: Duration = Duration::from_secs(20);

/// The two ends: what supervisors call, and what [`follow`] reads.
pub fn channel(
    host: &Arc<Host>,
) -> (
    impl Fn(SupervisionEvent) + Send + Sync + Clone + 'static,
    mpsc::Receiver<SupervisionEvent>,
) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let host = Arc::clone(host);
    let observe = move |event: SupervisionEvent| {
        if let Some(service) = given_up_on(&event).and_then(|id| host.service(id)) {
            custody::condemn(&service);
        }
        if sender.try_send(event).is_err() {
            tracing::warn!("a supervision event was dropped: too many at once");
        }
    };
    (observe, receiver)
}

/// The service whose container must not be adopted any more, if this event says so.
fn given_up_on(event: &SupervisionEvent) -> Option<&str> {
    let names = event.supervisor.names();
    let place: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    match (&place[..], &event.what) {
        // A parked service is watched by nobody, so nothing of it is left running.
        ([_, "services"], What::Parked { child, .. }) => Some(child.as_str()),
        ([_, "services", _] | [_, "services", _, "work"], What::Ending { reason })
            if blames_the_container(reason) =>
        {
            names.get(2).map(|name| name.as_str())
        }
        _ => None,
    }
}

/// Whether a supervisor gave up because of what runs in the container, rather than because an actor
/// of Coppice itself kept failing: that is no reason to end anybody's processes.
fn blames_the_container(reason: &ExitReason) -> bool {
    let ExitReason::Shutdown(
        ShutdownDetail::Intensity { child, last } | ShutdownDetail::Significant { child, last },
    ) = reason
    else {
        return false;
    };
    match child.as_str() {
        "container" | "runtime" => matches!(**last, ExitReason::Abnormal(_)),
        // Which of the daemons it was does not matter, but that it was one and not its actor's panic.
        "hosted" => match &**last {
            ExitReason::Shutdown(ShutdownDetail::Intensity { last, .. }) => {
                matches!(**last, ExitReason::Abnormal(_))
            }
            _ => false,
        },
        _ => blames_the_container(last),
    }
}

/// Writes what supervisors decide until they are gone. `services` is the supervisor of the services'
/// trees.
pub async fn follow(
    host: Arc<Host>,
    services: Supervisor,
    mut events: mpsc::Receiver<SupervisionEvent>,
) {
    while let Some(event) = events.recv().await {
        let supervisor = event.supervisor.to_string();
        tracing::debug!(supervisor, what = ?event.what, "supervision");
        let names: Vec<&str> = event
            .supervisor
            .names()
            .iter()
            .map(|name| name.as_str())
            .collect();
        match (&names[..], &event.what) {
            (
                [_, "services"],
                What::Parked {
                    child,
                    reason,
                    next_probe,
                },
            ) => {
                stop_parked(&host, child.as_str());
                park(&host, child.as_str(), reason, *next_probe).await;
                // What nobody wants running is not tried again by itself.
                if let Some(service) = host.service(child.as_str()) {
                    parking::rest(&services, &service).await;
                }
            }
            ([_, "services"], What::Unparked { child }) => unpark(&host, child.as_str()).await,
            (
                [_, "services", service, ..],
                What::Exited {
                    child,
                    reason,
                    uptime,
                    ..
                },
            ) => {
                internal(&host, service, child.as_str(), reason, *uptime).await;
            }
            _ => {}
        }
    }
}

/// Removes the container of a parked service, unless the next try has come first and did it.
fn stop_parked(host: &Arc<Host>, id: &str) {
    let Some(service) = host.service(id) else {
        return;
    };
    tokio::spawn(async move {
        if let Err(error) = custody::clear(&service, PARKING_GRACE).await {
            tracing::warn!(
                service = service.id,
                error,
                "the container of a parked service was not removed; the next try removes it"
            );
        }
    });
}

async fn park(host: &Host, id: &str, reason: &ExitReason, next_probe: Mono) {
    let now = Wall::now();
    let wait = i64::try_from(next_probe.since(Mono::now()).as_millis()).unwrap_or(i64::MAX);
    let service = host.service(id);
    let mut failed = behind(id, service.as_deref(), reason);
    records::cut_link(&mut failed);
    let because = vec![failed];
    let parked = Parked {
        since: now,
        reason: format!(
            "{}; it failed too often in a short time. Start it to try at once.",
            words::explain_further(id, &because)
        ),
        because: because.clone(),
        next_probe: Wall::from_millis(now.as_millis().saturating_add(wait)),
    };
    let written = host
        .document
        .update_package(id, "parked", move |entry| {
            let since = entry.parked.as_ref().map(|before| before.since);
            if let (None, Link::Failed { cause, .. }) = (since, &because[0]) {
                let action =
                    "it failed too often and is parked: it is tried again at growing distance";
                let parked = Event::new("service", cause.clone(), action).because(because);
                records::note(entry, parked);
            }
            entry.parked = Some(Parked {
                since: since.unwrap_or(parked.since),
                ..parked
            });
            entry.went_down();
            Ok(())
        })
        .await;
    if let Err(error) = written {
        tracing::warn!(service = id, %error, "parking was not noted");
    }
    // The actor that showed these is gone with the tree.
    host.document.publish_health(id, &BTreeMap::new());
    if let Some(service) = host.service(id) {
        service.shown.clear(&service);
    }
}

/// What is behind the reason for which supervisors gave up on a service.
fn behind(id: &str, service: Option<&ServiceContext>, reason: &ExitReason) -> Link {
    let noted = service.filter(|_| blames_the_container(reason));
    noted
        .and_then(ServiceContext::last_failure)
        .unwrap_or_else(|| Link::Failed {
            service: id.to_owned(),
            what: "tree of actors".to_owned(),
            cause: Cause::Internal {
                message: reason.to_string(),
            },
        })
}

async fn unpark(host: &Host, id: &str) {
    let written = host
        .document
        .update_package(id, "unparked", |entry| {
            entry.parked = None;
            Ok(())
        })
        .await;
    if let Err(error) = written {
        tracing::warn!(service = id, %error, "the end of parking was not noted");
    }
}

/// A panic or another failure of Coppice's own actor, which nobody else records.
async fn internal(host: &Host, service: &str, actor: &str, reason: &ExitReason, uptime: Duration) {
    let message = match reason {
        ExitReason::Panic(text) => format!("panic: {text}"),
        ExitReason::Killed => "killed".to_owned(),
        ExitReason::StartFailed(failure) => failure.to_string(),
        _ => return,
    };
    if let Some(service) = host.service(service) {
        let what = format!("Coppice's own actor {actor}");
        let event = Event::new(what, Cause::Internal { message }, "it is started again");
        service.record(event.after(Some(uptime))).await;
    }
}

#[cfg(test)]
mod tests;
