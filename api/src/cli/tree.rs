//! `coppice tree`: the live tree of actors.

use serde_json::{Value, json};

use super::{Common, client::Client, paint, show, watch::Watch};

pub(super) async fn tree(common: &Common, watch: Watch) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    let asked = ("server.tree", json!({}));
    watch.show(common, &client, asked, drawn).await
}

fn drawn(tree: &Value) -> String {
    let mut lines = Vec::new();
    branch(tree, "", "", &mut lines);
    lines.join("\n")
}

fn branch(node: &Value, first: &str, rest: &str, lines: &mut Vec<String>) {
    let uptime = node["uptimeMs"]
        .as_u64()
        .map(|millis| format!(" for {}", show::span(millis)))
        .unwrap_or_default();
    let restarts = match node["restarts"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => ", restarted once".to_owned(),
        Some(times) => format!(", restarted {times} times"),
    };
    lines.push(format!(
        "{first}{}  {}{uptime}{restarts}",
        show::text(node, "id"),
        paint::state(&show::text(node, "state"))
    ));
    let children: Vec<&Value> = node["children"].as_array().into_iter().flatten().collect();
    for (index, child) in children.iter().enumerate() {
        let (branch_line, below) = if index + 1 == children.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        branch(
            child,
            &format!("{rest}{branch_line}"),
            &format!("{rest}{below}"),
            lines,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_actor_stands_below_its_supervisor_with_how_long_it_is_up() {
        let leaf = |id: &str| json!({ "id": id, "state": "running", "uptimeMs": 65_000, "restarts": 2, "children": [] });
        let tree = json!({ "id": "core", "state": "running", "uptimeMs": 27_000, "restarts": 0, "children": [
            { "id": "state", "state": "running", "uptimeMs": 27_000, "restarts": 1, "children": [leaf("disk")] },
            { "id": "jobs", "state": "stopped", "uptimeMs": null, "restarts": 0, "children": [] },
        ] });
        assert_eq!(
            drawn(&tree),
            "core  running for 27s\n\
             ├─ state  running for 27s, restarted once\n\
             │  └─ disk  running for 1m 5s, restarted 2 times\n\
             └─ jobs  stopped"
        );
    }
}
