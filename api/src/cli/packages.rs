//! Verbs about packages, services, actions and tasks.

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Subcommand;
use coppice_actors::model::RestartRecord;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    Common, author,
    client::Client,
    show,
    usage::{self, Limits},
};

/// Verbs of `service`.
#[derive(Debug, Subcommand)]
pub enum Service {
    /// Every service with its state.
    List,
    /// Want a service running.
    Start {
        /// The service.
        id: String,
        /// Even though a required task is not done.
        #[arg(long)]
        force: bool,
    },
    /// Want a service stopped.
    Stop {
        /// The service.
        id: String,
    },
    /// Want a running service stopped and started.
    Restart {
        /// The service.
        id: String,
    },
    /// How one service is: health, tasks, addresses.
    Status {
        /// The service.
        id: String,
    },
    /// What a service wrote.
    Logs {
        /// The service.
        id: String,
        /// Go on with what it writes from now on.
        #[arg(short, long)]
        follow: bool,
        /// How many lines of the past.
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
    },
    /// The daemons of a service and what they use.
    Ps {
        /// The service.
        id: String,
    },
    /// What a service may use; with options, sets it.
    Limits(Limits),
    /// Why a service is as it is, and why its parts were restarted.
    Why {
        /// The service.
        id: String,
    },
}

/// Verbs of `package`.
#[derive(Debug, Subcommand)]
pub enum Package {
    /// Install a package file.
    Install {
        /// The .s9pk.
        file: PathBuf,
    },
    /// Remove a service and its data.
    Uninstall {
        /// The service.
        id: String,
        /// Keep its volumes.
        #[arg(long)]
        soft: bool,
        /// Even though the package objects.
        #[arg(long)]
        force: bool,
    },
    /// Every package with its version.
    List,
    /// For who writes packages.
    #[command(flatten)]
    Author(author::Author),
}

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

pub(super) fn print(common: &Common, value: &Value, words: impl FnOnce() -> String) {
    if common.json {
        println!("{value:#}");
    } else {
        let words = words();
        if !words.is_empty() {
            println!("{words}");
        }
    }
}

pub(super) async fn service(common: &Common, verb: Service) -> anyhow::Result<()> {
    let client = Client::find(common.data_dir.as_deref())?;
    match verb {
        Service::List => {
            let list = client.call("package.list", json!({})).await?;
            print(common, &list, || services(&list));
        }
        Service::Start { id, force } => {
            let done = client
                .call("package.start", json!({ "id": id, "force": force }))
                .await?;
            print(common, &done, || format!("{id} is starting"));
        }
        Service::Stop { id } => {
            let done = client.call("package.stop", json!({ "id": id })).await?;
            print(common, &done, || format!("{id} is stopping"));
        }
        Service::Restart { id } => {
            let done = client.call("package.restart", json!({ "id": id })).await?;
            print(common, &done, || format!("{id} is restarting"));
        }
        Service::Status { id } => {
            let status = client.call("package.status", json!({ "id": id })).await?;
            print(common, &status, || status_words(&status));
        }
        Service::Logs { id, follow, lines } => logs(common, &client, &id, follow, lines).await?,
        Service::Ps { id } => usage::ps(common, &client, &id).await?,
        Service::Limits(limits) => usage::limits(common, &client, limits).await?,
        Service::Why { id } => {
            let why = client.call("package.why", json!({ "id": id })).await?;
            print(common, &why, || why_words(&why));
        }
    }
    Ok(())
}

fn services(list: &Value) -> String {
    let rows = list.as_array().into_iter().flatten().map(|one| {
        ["id", "version", "status", "address", "detail"]
            .map(|member| show::text(one, member))
            .to_vec()
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return "Nothing is installed. `coppice package install FILE` brings a service.".to_owned();
    }
    show::table(&["service", "version", "status", "address", ""], rows)
}

fn status_words(status: &Value) -> String {
    let (summary, entry) = (&status["summary"], &status["entry"]);
    let mut lines = vec![format!(
        "{} {}: {}",
        show::text(summary, "title"),
        show::text(summary, "version"),
        show::text(summary, "status")
    )];
    for (label, member) in [
        ("", "detail"),
        ("address: ", "address"),
        ("running since: ", "started"),
    ] {
        let text = show::text(summary, member);
        if !text.is_empty() {
            lines.push(format!("  {label}{text}"));
        }
    }
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for check in members(&entry["statusInfo"]["health"]).values() {
        lines.push(
            format!(
                "  check {}: {} {}",
                show::text(check, "name"),
                show::text(check, "result"),
                show::text(check, "message")
            )
            .trim_end()
            .to_owned(),
        );
    }
    for (id, task) in members(&entry["tasks"]) {
        if task["active"] == true {
            let task = &task["task"];
            lines.push(format!(
                "  task {id} ({}): run action {} of {}. {}",
                show::text(task, "severity"),
                show::text(task, "actionId"),
                show::text(task, "packageId"),
                show::text(task, "reason")
            ));
        }
    }
    lines.join("\n")
}

fn why_words(why: &Value) -> String {
    let summary = &why["summary"];
    let id = show::text(summary, "id");
    let mut lines = vec![match show::text(why, "words") {
        words if words.is_empty() => format!("{id} is {}.", show::text(summary, "status")),
        words => format!("{words}."),
    }];
    let detail = show::text(summary, "detail");
    if !detail.is_empty() {
        lines.push(format!("  {detail}"));
    }
    let records = why["restarts"].as_array().cloned().unwrap_or_default();
    if records.is_empty() {
        lines.push("Nothing of it was ever restarted.".to_owned());
    }
    for record in records {
        match serde_json::from_value::<RestartRecord>(record.clone()) {
            Ok(record) => {
                let happened = show::happened(&id, &record);
                lines.push(format!("{}  {happened}", record.at));
                for line in record.logs.iter().rev().take(5).rev() {
                    lines.push(format!("      | {line}"));
                }
            }
            // A server of another version says something that this one does not know.
            Err(_) => lines.push(record.to_string()),
        }
    }
    lines.join("\n")
}

async fn logs(
    common: &Common,
    client: &Client,
    id: &str,
    follow: bool,
    lines: usize,
) -> anyhow::Result<()> {
    let line = |entry: &Value| {
        if common.json {
            println!("{entry}");
        } else {
            println!(
                "{} {}",
                show::text(entry, "timestamp"),
                show::text(entry, "message")
            );
        }
    };
    if !follow {
        let read = client
            .call("package.logs", json!({ "id": id, "limit": lines }))
            .await?;
        read["entries"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(line);
        return Ok(());
    }
    let stream = client
        .call("package.logs.follow", json!({ "id": id, "limit": lines }))
        .await?;
    client
        .follow(&show::text(&stream, "guid"), |frame| {
            if let Ok(entry) = serde_json::from_str(frame) {
                line(&entry);
            }
            true
        })
        .await
}

pub(super) async fn package(common: &Common, verb: Package) -> anyhow::Result<()> {
    match verb {
        Package::Install { file } => {
            let file = file
                .canonicalize()
                .with_context(|| format!("`{}` cannot be opened", file.display()))?;
            let client = Client::find(common.data_dir.as_deref())?;
            let progress = if common.json {
                ProgressBar::hidden()
            } else {
                bar()
            };
            let watching = tokio::spawn(watch_install(
                client.clone(),
                file.clone(),
                progress.clone(),
            ));
            let done = client
                .call("package.install-file", json!({ "path": file }))
                .await;
            watching.abort();
            progress.finish_and_clear();
            let done = done?;
            print(common, &done, || {
                format!("{} is installed", show::text(&done, "id"))
            });
        }
        Package::Uninstall { id, soft, force } => {
            let client = Client::find(common.data_dir.as_deref())?;
            let done = client
                .call(
                    "package.uninstall",
                    json!({ "id": id, "soft": soft, "force": force }),
                )
                .await?;
            print(common, &done, || {
                if soft {
                    format!("{id} is removed; its volumes are kept")
                } else {
                    format!("{id} is removed")
                }
            });
        }
        Package::Author(verb) => author::run(common, verb).await?,
        Package::List => {
            let client = Client::find(common.data_dir.as_deref())?;
            let list = client.call("package.list", json!({})).await?;
            print(common, &list, || services(&list));
        }
    }
    Ok(())
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Shows how far the installation of this file is.
async fn watch_install(client: Client, file: PathBuf, bar: ProgressBar) {
    let opened = std::fs::File::open(&file)
        .ok()
        .and_then(|file| coppice_s9pk::Archive::open(file, None).ok());
    let Some(manifest) = opened.and_then(|archive| archive.manifest().ok()) else {
        return;
    };
    let pointer = format!(
        "/public/packageData/{}/stateInfo/installingInfo/progress",
        manifest.id
    );
    loop {
        let dump = client
            .call("db.dump", json!({ "pointer": pointer }))
            .await
            .unwrap_or_default();
        let phases = dump["value"]["phases"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if let Some(phase) = phases
            .iter()
            .find(|phase| phase["progress"] != true && !phase["progress"].is_null())
        {
            bar.set_message(show::text(phase, "name"));
            let count = &phase["progress"];
            if let (Some(done), Some(total)) = (count["done"].as_u64(), count["total"].as_u64()) {
                bar.set_length(total);
                bar.set_position(done);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn action(common: &Common, verb: Action) -> anyhow::Result<()> {
    let client = Client::find(common.data_dir.as_deref())?;
    match verb {
        Action::List { id } => {
            let status = client.call("package.status", json!({ "id": id })).await?;
            let actions = &status["entry"]["actions"];
            print(common, actions, || {
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
            print(common, &form, || format!("{form:#}"));
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
            let result = client.call("package.action.run", params).await?;
            print(common, &result, || result_words(&result));
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
    let client = Client::find(common.data_dir.as_deref())?;
    match verb {
        Task::List { id } => {
            let status = client.call("package.status", json!({ "id": id })).await?;
            let tasks = &status["entry"]["tasks"];
            print(common, tasks, || {
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
            });
        }
        Task::Clear { id, task, force } => {
            let params = json!({ "packageId": id, "replayId": task, "force": force });
            let done = client.call("package.action.clear-task", params).await?;
            print(common, &done, || "dismissed".to_owned());
        }
    }
    Ok(())
}
