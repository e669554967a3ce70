//! What supervisors decide, turned into what people can read.
//!
//! Supervisors call the observer from their own tasks and must not wait, so events pass through a
//! channel to [`follow`], which writes parking and the failures of Coppice's own actors into the
//! document. Deaths of containers, runtimes and daemons are recorded by the actors that saw them.

use std::{sync::Arc, time::Duration};

use coppice_clock::{Mono, Wall};
use coppice_supervision::{Decision, ExitReason, SupervisionEvent, What};
use tokio::sync::mpsc;

use crate::{
    host::Host,
    model::{Cause, Parked},
};

/// Events that may wait; beyond, they are dropped and counted in the log.
const QUEUE: usize = 4096;

/// The two ends: what supervisors call, and what [`follow`] reads.
pub fn channel() -> (
    impl Fn(SupervisionEvent) + Send + Sync + Clone + 'static,
    mpsc::Receiver<SupervisionEvent>,
) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let observe = move |event: SupervisionEvent| {
        if sender.try_send(event).is_err() {
            tracing::warn!("a supervision event was dropped: too many at once");
        }
    };
    (observe, receiver)
}

/// Writes what supervisors decide until they are gone.
pub async fn follow(host: Arc<Host>, mut events: mpsc::Receiver<SupervisionEvent>) {
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
                What::Exited {
                    child,
                    reason,
                    decision: Decision::Park { next_probe },
                    ..
                },
            ) => {
                park(&host, child.as_str(), reason, *next_probe).await;
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

async fn park(host: &Host, id: &str, reason: &ExitReason, next_probe: Mono) {
    let now = Wall::now();
    let wait = i64::try_from(next_probe.since(Mono::now()).as_millis()).unwrap_or(i64::MAX);
    let parked = Parked {
        since: now,
        reason: format!("{reason}; it failed too often in a short time. Start it to try at once."),
        next_probe: Wall::from_millis(now.as_millis().saturating_add(wait)),
    };
    let written = host
        .document
        .update_package(id, "parked", move |entry| {
            let since = entry.parked.as_ref().map(|before| before.since);
            entry.parked = Some(Parked {
                since: since.unwrap_or(parked.since),
                ..parked
            });
            entry.status_info.started = None;
            Ok(())
        })
        .await;
    if let Err(error) = written {
        tracing::warn!(service = id, %error, "parking was not noted");
    }
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
        service
            .record(
                &what,
                Cause::Internal { message },
                "it is started again",
                Some(uptime),
            )
            .await;
    }
}
