//! Verbs about actions and tasks.

use std::io::Read;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Common, client::Client, progress::patiently, show, watch::Watch};

/// Verbs of `action`.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// The actions of a service.
    List {
        /// The service.
        id: String,
    },
    /// The form of an action and its present values.
    Form {
        /// The service.
        id: String,
        /// The action.
        action: String,
    },
    /// Run an action.
    Run {
        /// The service.
        id: String,
        /// The action.
        action: String,
        /// Its input as JSON; `-` reads standard input.
        #[arg(long)]
        input: Option<String>,
    },
}

/// Verbs of `task`.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// The tasks of a service.
    List {
        /// The service.
        id: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// Dismiss a task.
    Clear {
        /// The service.
        id: String,
        /// The task.
        task: String,
        /// Even though it is required.
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn action(common: &Common, verb: Action) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    match verb {
        Action::List { id } => {
            let status = client.call("package.status", json!({ "id": id })).await?;
            let actions = &status["entry"]["actions"];
            show::print(common, actions, || {
                let rows = actions
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(id, action)| {
                        vec![
                            id.clone(),
                            show::text(action, "name"),
                            show::text(action, "allowedStatuses"),
                            show::text(action, "description"),
                        ]
                    });
                show::table(&["action", "name", "allowed", ""], rows)
            });
        }
        Action::Form { id, action } => {
            let form = client
                .call(
                    "package.action.get-input",
                    json!({ "packageId": id, "actionId": action }),
                )
                .await?;
            show::print(common, &form, || format!("{form:#}"));
        }
        Action::Run { id, action, input } => {
            let input = match input.as_deref() {
                None => Value::Null,
                Some("-") => {
                    let mut text = String::new();
                    std::io::stdin().read_to_string(&mut text)?;
                    serde_json::from_str(&text).context("standard input is not JSON")?
                }
                Some(text) => serde_json::from_str(text).context("--input is not JSON")?,
            };
            let form = client
                .call(
                    "package.action.get-input",
                    json!({ "packageId": id, "actionId": action }),
                )
                .await?;
            let event = form.get("eventId").cloned().unwrap_or_default();
            let params =
                json!({ "packageId": id, "actionId": action, "eventId": event, "input": input });
            let running = client.call("package.action.run", params);
            let result = patiently(common, &format!("running {action} of {id}"), running).await?;
            show::print(common, &result, || result_words(&result));
        }
    }
    Ok(())
}

/// A result as text; masked values stay masked unless JSON was asked for.
fn result_words(result: &Value) -> String {
    if result.is_null() {
        return "done".to_owned();
    }
    let mut lines = vec![show::text(result, "title"), show::text(result, "message")];
    result_value(&result["result"], "", &mut lines);
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn result_value(value: &Value, name: &str, lines: &mut Vec<String>) {
    let label = if name.is_empty() {
        String::new()
    } else {
        format!("{name}: ")
    };
    match value["type"].as_str() {
        Some("single") if value["masked"] == true => {
            lines.push(format!("{label}(hidden; --json shows it)"))
        }
        Some("single") => lines.push(format!("{label}{}", show::text(value, "value"))),
        Some("group") => {
            for member in value["value"].as_array().into_iter().flatten() {
                result_value(member, &show::text(member, "name"), lines);
            }
        }
        _ => {}
    }
}

pub(super) async fn task(common: &Common, verb: Task) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    match verb {
        Task::List { id, watch } => {
            let asked = ("package.status", json!({ "id": id }));
            watch
                .show_part(common, &client, asked, "/entry/tasks", tasks)
                .await?;
        }
        Task::Clear { id, task, force } => {
            let params = json!({ "packageId": id, "replayId": task, "force": force });
            let done = client.call("package.action.clear-task", params).await?;
            show::done(common, &done, || "dismissed".to_owned());
        }
    }
    Ok(())
}

fn tasks(tasks: &Value) -> String {
    let rows = tasks.as_object().into_iter().flatten().map(|(id, one)| {
        let task = &one["task"];
        vec![
            id.clone(),
            show::text(task, "severity"),
            show::text(one, "active"),
            show::text(task, "actionId"),
            show::text(task, "reason"),
        ]
    });
    show::table(&["task", "severity", "active", "action", ""], rows)
}
