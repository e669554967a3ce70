//! When a core has taken over a service that runs.

use serde_json::Value;

/// Whether the core that gave this tree knows the service's processes: then the agent has called and told of them.
pub(crate) fn is_adopted(tree: &Value, id: &str) -> bool {
    let below = |node: &Value, name: &str| {
        let children = node["children"].as_array()?;
        children.iter().find(|child| child["id"] == name).cloned()
    };
    let daemons = ["services", id, "work", "daemons"]
        .into_iter()
        .try_fold(tree.clone(), |node, name| below(&node, name));
    daemons.is_some_and(|daemons| {
        daemons["children"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    })
}
