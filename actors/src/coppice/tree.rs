//! The live tree of actors, as it is shown.

use coppice_clock::Mono;
use coppice_supervision::{ChildKind, ChildState, NodeState, Tree, inspect};
use serde::Serialize;
use ts_rs::TS;

use super::Coppice;

/// One actor of the live tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TreeNode {
    /// Its name.
    pub id: String,
    /// Whether it supervises others.
    pub supervisor: bool,
    /// What it is doing, in a word or two.
    pub state: String,
    /// How long it has been up, in milliseconds; null while it is not.
    #[ts(type = "number | null")]
    pub uptime_ms: Option<u64>,
    /// How often it was restarted.
    pub restarts: u32,
    /// What is below it.
    pub children: Vec<TreeNode>,
}

impl Coppice {
    /// The live tree of actors; `None` while the root is going down.
    pub async fn tree(&self) -> Option<TreeNode> {
        Some(node(
            inspect(&self.root.actor().get_cell()).await?,
            Mono::now(),
        ))
    }
}

fn node(tree: Tree, now: Mono) -> TreeNode {
    let state = match &tree.state {
        NodeState::Known(ChildState::Running { .. }) => "running".to_owned(),
        NodeState::Known(other) => format!("{other:?}")
            .split([' ', '{', '('])
            .next()
            .unwrap_or_default()
            .to_lowercase(),
        NodeState::NotAnswering => "not answering".to_owned(),
    };
    TreeNode {
        id: tree.id.to_string(),
        supervisor: tree.kind == ChildKind::Supervisor,
        state,
        uptime_ms: tree
            .started_at
            .and_then(|at| u64::try_from(now.since(at).as_millis()).ok()),
        restarts: tree.restarts,
        children: tree
            .children
            .into_iter()
            .map(|child| node(child, now))
            .collect(),
    }
}
