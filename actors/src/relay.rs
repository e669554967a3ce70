//! From a watched value to an actor's mailbox.

use ractor::{ActorRef, Message};
use tokio::sync::watch;

/// Sends `message()` to `actor` after every change of `changes`, until one of the two is gone.
///
/// Changes that come while one is delivered are one change: a watched value is a state, not a
/// stream.
pub(crate) fn relay<T, M>(
    mut changes: watch::Receiver<T>,
    actor: &ActorRef<M>,
    message: impl Fn() -> M + Send + 'static,
) where
    T: Send + Sync + 'static,
    M: Message,
{
    let actor = actor.clone();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            if actor.send_message(message()).is_err() {
                break;
            }
        }
    });
}
