//! What an agent says of processes, handed on in order.

use std::sync::{Arc, Mutex, PoisonError};

use coppice_wire::{
    RpcError,
    agent::{PROCESS_EXITED, PROCESS_STARTED},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::super::{ProcessEvent, ProcessReport, ServiceContext};
use crate::link::{Accepted, Handler, Peer};

/// Answers one agent.
#[derive(Debug)]
pub(super) struct AgentReports {
    service: Arc<ServiceContext>,
    life: Arc<str>,
    way: Mutex<Way>,
}

/// A report names the connection that takes its acknowledgement, which exists a moment after the
/// first report may have come.
#[derive(Debug)]
enum Way {
    Opening(Vec<ProcessEvent>),
    Open(Peer),
}

impl AgentReports {
    /// Serves an agent's connection.
    pub(super) fn serve(accepted: Accepted, service: Arc<ServiceContext>) -> Peer {
        let reports = Arc::new(Self {
            service,
            life: accepted.hello.boot.as_str().into(),
            way: Mutex::new(Way::Opening(Vec::new())),
        });
        let peer = Peer::serve(accepted, Arc::clone(&reports) as Arc<dyn Handler>);
        let mut way = reports.way.lock().unwrap_or_else(PoisonError::into_inner);
        let early = std::mem::replace(&mut *way, Way::Open(peer.clone()));
        if let Way::Opening(events) = early {
            for event in events {
                reports.send(&peer, event);
            }
        }
        drop(way);
        peer
    }

    fn take(&self, method: &str, params: Value) -> Option<()> {
        let event = match method {
            PROCESS_STARTED => ProcessEvent::Started(serde_json::from_value(params).ok()?),
            PROCESS_EXITED => ProcessEvent::Exited(serde_json::from_value(params).ok()?),
            _ => return None,
        };
        match &mut *self.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Way::Opening(events) => events.push(event),
            Way::Open(agent) => self.send(agent, event),
        }
        Some(())
    }

    fn send(&self, agent: &Peer, event: ProcessEvent) {
        // Nobody listens while the work below is restarted; it asks for the list when it is back,
        // and what was not acknowledged comes again with the next connection.
        let _ = self.service.processes.send(Arc::new(ProcessReport {
            life: Arc::clone(&self.life),
            agent: agent.clone(),
            event,
            told: TaskTracker::new().token(),
        }));
    }
}

impl Handler for AgentReports {
    fn request(
        self: Arc<Self>,
        method: String,
        params: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        async move {
            match self.take(&method, params) {
                Some(()) => Ok(Value::Null),
                None => Err(RpcError::method_not_found(&method)),
            }
        }
        .boxed()
    }

    fn notification(&self, method: String, params: Value) {
        if self.take(&method, params).is_none() {
            tracing::warn!(
                service = self.service.id,
                method,
                "an agent said something unreadable"
            );
        }
    }
}
