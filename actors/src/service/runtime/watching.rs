//! What the runtime's actor hears without asking: connections that come and go, and the end of a runtime.

use std::{sync::Arc, time::Duration};

use coppice_wire::agent::ProcessKind;
use ractor::ActorRef;
use tokio::sync::broadcast;

use super::{
    super::{ProcessEvent, ProcessReport, ServiceContext},
    RuntimeMsg,
    step::Input,
};

/// How long the runtime's connection may be away before its process is looked for; it redials after
/// a quarter of a second at most.
const LINK_PATIENCE: Duration = Duration::from_secs(10);
pub(super) fn watch_links(service: &Arc<ServiceContext>, myself: &ActorRef<RuntimeMsg>) {
    let (mut agents, actor) = (service.agent.subscribe(), myself.clone());
    tokio::spawn(async move {
        while agents.changed().await.is_ok() {
            let agent = agents.borrow_and_update().clone();
            if actor.send_message(RuntimeMsg::Agent(agent)).is_err() {
                break;
            }
        }
    });
    let (mut runtimes, actor) = (service.runtime.subscribe(), myself.clone());
    tokio::spawn(async move {
        loop {
            let away = runtimes.borrow().is_none();
            let message = tokio::select! {
                biased;
                changed = runtimes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let dialled = runtimes.borrow_and_update();
                    let Some(generation) = dialled.as_ref().map(|link| link.generation) else {
                        continue;
                    };
                    RuntimeMsg::Input(Input::RuntimeUp { generation })
                }
                // The end of the process is reported, unless the report was lost.
                () = tokio::time::sleep(LINK_PATIENCE), if away => RuntimeMsg::Look,
            };
            if actor.send_message(message).is_err() {
                break;
            }
        }
    });
}

pub(super) fn watch_processes(
    mut events: broadcast::Receiver<Arc<ProcessReport>>,
    actor: ActorRef<RuntimeMsg>,
) {
    tokio::spawn(async move {
        loop {
            let report = match events.recv().await {
                Ok(report) => report,
                // The runtime's own end may be among what was missed in a storm of processes.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    if actor.send_message(RuntimeMsg::Look).is_err() {
                        break;
                    }
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => break,
            };
            let ProcessEvent::Exited(exit) = &report.event else {
                continue;
            };
            let (ProcessKind::Runtime, Some(generation)) = (exit.kind, exit.generation) else {
                continue;
            };
            let input = Input::RuntimeEnded {
                generation,
                code: exit.code,
                signal: exit.signal,
                oom_kills: exit.oom_kills,
            };
            if actor
                .send_message(RuntimeMsg::Ended(input, report))
                .is_err()
            {
                break;
            }
        }
    });
}
