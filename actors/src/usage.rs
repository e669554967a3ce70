//! The actor that keeps shown usage fresh, for as long as somebody looks.
//!
//! One for the whole server. While no client follows the document it costs one wake-up per
//! [`EVERY`]; whoever asks by a call is answered with what is looked up for that call.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Mutex;

use crate::host::Host;

/// Between two looks: a person sees a number move, and a disk that is read for it does not.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps usage fresh; see the module.
#[derive(Debug)]
pub(crate) struct UsageActor;

/// What the usage actor keeps.
#[derive(Debug)]
pub(crate) struct UsageState {
    host: Arc<Host>,
    /// One look at a time: a slow machine is asked less often.
    looking: Arc<Mutex<()>>,
}

/// Messages of the usage actor.
#[derive(Debug)]
pub(crate) enum UsageMsg {
    /// It is time to look.
    Look,
}

impl Actor for UsageActor {
    type Msg = UsageMsg;
    type State = UsageState;
    type Arguments = Arc<Host>;

    async fn pre_start(
        &self,
        myself: ActorRef<UsageMsg>,
        host: Arc<Host>,
    ) -> Result<UsageState, ActorProcessingErr> {
        myself.send_interval(EVERY, || UsageMsg::Look);
        Ok(UsageState {
            host,
            looking: Arc::default(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<UsageMsg>,
        UsageMsg::Look: UsageMsg,
        state: &mut UsageState,
    ) -> Result<(), ActorProcessingErr> {
        let watched = state.host.document.store().stats().public_streams > 0;
        let Some(alone) = Arc::clone(&state.looking)
            .try_lock_owned()
            .ok()
            .filter(|_| watched)
        else {
            return Ok(());
        };
        let host = Arc::clone(&state.host);
        tokio::spawn(async move {
            for service in host.services() {
                service.shown.measure(&service).await;
            }
            drop(alone);
        });
        Ok(())
    }
}
