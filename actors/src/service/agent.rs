//! What several actors of a service ask its agent for: what lives, and a process that the host starts.
//!
//! What only one of them asks for stands beside that one.

use std::{collections::BTreeMap, time::Duration};

use coppice_wire::agent::{LIST, ProcessList, SPAWN, Spawn, Spawned};
use serde_json::{Value, json};

use crate::link::{CallError, Peer};

/// The agent answers from memory and `fork`; a slow disk may hold the program.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The agent did not do it, or nobody can tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It refused, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It answered something else.
    #[error("the agent's answer to `{0}` is unreadable: {1}")]
    Unreadable(&'static str, serde_json::Error),
}

/// What lives in the container.
pub(super) async fn list(agent: &Peer, patience: Duration) -> Result<ProcessList, AskError> {
    let list = agent.call(LIST, Value::Null, patience).await?;
    serde_json::from_value(list).map_err(|error| AskError::Unreadable(LIST, error))
}

/// Starts a process, or finds it alive.
pub(super) async fn spawn(agent: &Peer, process: &Spawn) -> Result<Spawned, AskError> {
    let spawned = agent.call(SPAWN, json!(process), PATIENCE).await?;
    serde_json::from_value(spawned).map_err(|error| AskError::Unreadable(SPAWN, error))
}

/// The environment that every process of the host's begins with.
pub(super) fn environment(lang: String) -> BTreeMap<String, String> {
    [("PATH", PATH.to_owned()), ("LANG", lang)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
