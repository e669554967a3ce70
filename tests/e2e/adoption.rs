//! When a core has taken over a service that runs.

use serde_json::Value;

/// Whether the core that gave this tree knows the service's processes: then the agent has called and told of them.
pub(crate) fn is_adopted(tree: &Value, id: &str) -> bool {
    let below = |node: &Value, name: &str| {
        let children = node["children"].as_array()?;
        children.iter().find(|child| child["id"] == name).cloned()
    };
    // Those that the package's JavaScript keeps, or those that the host does.
    ["daemons", "hosted"].into_iter().any(|supervisor| {
        let found = ["services", id, "work", supervisor]
            .into_iter()
            .try_fold(tree.clone(), |node, name| below(&node, name));
        let children = found.map(|found| found["children"].clone());
        children.is_some_and(|children| children.as_array().is_some_and(|all| !all.is_empty()))
    })
}
