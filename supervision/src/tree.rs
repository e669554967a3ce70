//! The live tree, as it is at the moment of asking.

use std::time::Duration;

use coppice_clock::Mono;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use ractor::ActorCell;

use crate::{
    core::{ChildKind, ChildState},
    handle::{ChildInfo, Supervisor},
    id::ChildId,
    supervisor::Msg,
};

/// One actor and what is under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its name.
    pub id: ChildId,
    /// What it is.
    pub kind: ChildKind,
    /// What it is doing.
    pub state: NodeState,
    /// Since when this incarnation runs; `None` while it does not.
    pub started_at: Option<Mono>,
    /// How often its supervisor restarted it.
    pub restarts: u32,
    /// Its children in start order; a worker has none.
    pub children: Vec<Tree>,
}

/// What an actor in the tree is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// As its supervisor sees it.
    Known(ChildState),
    /// It runs, but it is a supervisor that did not answer in time or ended while it was asked:
    /// its children are not known.
    NotAnswering,
}

// A supervisor never waits inside a handler, so a second without an answer means it is ending or
// the machine is starved; the rest of the tree is still worth showing.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Asks a supervisor, and every supervisor below it, for their children, all at once.
///
/// `None` when `actor` is no supervisor, or does not answer.
pub async fn inspect(actor: &ActorCell) -> Option<Tree> {
    let answer = Supervisor::from_cell(actor)?
        .ask_within(Msg::Children, Some(ANSWER_WITHIN))
        .await
        .ok()?;
    let since = answer.started_at;
    Some(Tree {
        id: answer.path.names().last()?.clone(),
        kind: ChildKind::Supervisor,
        state: NodeState::Known(ChildState::Running { since }),
        started_at: Some(since),
        restarts: 0,
        children: join_all(answer.children.into_iter().map(node)).await,
    })
}

fn node(child: ChildInfo) -> BoxFuture<'static, Tree> {
    async move {
        let started_at = match child.state {
            ChildState::Running { since } => Some(since),
            _ => None,
        };
        let mut tree = Tree {
            id: child.id,
            kind: child.kind,
            state: NodeState::Known(child.state),
            started_at,
            restarts: child.restarts,
            children: Vec::new(),
        };
        let supervisor = child.actor.as_ref().and_then(Supervisor::from_cell);
        if let Some(supervisor) = supervisor {
            match supervisor
                .ask_within(Msg::Children, Some(ANSWER_WITHIN))
                .await
            {
                Ok(answer) => {
                    tree.children = join_all(answer.children.into_iter().map(node)).await;
                }
                Err(_) => tree.state = NodeState::NotAnswering,
            }
        }
        tree
    }
    .boxed()
}
