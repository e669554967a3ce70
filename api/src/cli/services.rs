//! Verbs about services.

use clap::{Args, Subcommand};
use coppice_actors::model::RestartRecord;
use serde_json::{Value, json};

use super::{
    Common,
    client::Client,
    logs::Lines,
    paint, show,
    usage::{self, Limits},
    watch::Watch,
};

/// Verbs of `service`.
#[derive(Debug, Subcommand)]
pub enum Service {
    /// Every service with its state.
    List {
        #[command(flatten)]
        watch: Watch,
    },
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
    #[command(visible_alias = "show")]
    Status {
        /// The service.
        id: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// What a service wrote.
    Logs {
        /// The service.
        id: String,
        #[command(flatten)]
        lines: Lines,
    },
    /// The daemons of a service and what they use.
    Ps {
        /// The service.
        id: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// What a service may use; with options, sets it.
    Limits(Limits),
    /// Why a service is as it is, and why its parts were restarted.
    Why(Why),
}

/// Which service `why` is asked of.
#[derive(Debug, Args)]
pub struct Why {
    /// The service.
    id: String,
    #[command(flatten)]
    watch: Watch,
}

pub(super) async fn service(common: &Common, verb: Service) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    match verb {
        Service::List { watch } => list(common, &client, watch).await?,
        Service::Start { id, force } => {
            let params = json!({ "id": id, "force": force });
            wish(common, &client, "package.start", params, || {
                format!("{id} is starting")
            })
            .await?;
        }
        Service::Stop { id } => {
            let said = || format!("{id} is stopping");
            wish(common, &client, "package.stop", json!({ "id": id }), said).await?;
        }
        Service::Restart { id } => {
            let said = || format!("{id} is restarting");
            wish(
                common,
                &client,
                "package.restart",
                json!({ "id": id }),
                said,
            )
            .await?;
        }
        Service::Status { id, watch } => {
            let asked = ("package.status", json!({ "id": id }));
            watch.show(common, &client, asked, status_words).await?;
        }
        Service::Logs { id, lines } => {
            let of = json!({ "id": id });
            lines.print(common, &client, "package.logs", of).await?;
        }
        Service::Ps { id, watch } => usage::ps(common, &client, &id, watch).await?,
        Service::Limits(limits) => usage::limits(common, &client, limits).await?,
        Service::Why(asked) => why(common, &client, asked).await?,
    }
    Ok(())
}

/// Every service with its state; `service list` and `package list` are the same.
pub(super) async fn list(common: &Common, client: &Client, watch: Watch) -> anyhow::Result<()> {
    let asked = ("package.overview", json!({}));
    watch.show(common, client, asked, services).await
}

pub(super) async fn why(common: &Common, client: &Client, asked: Why) -> anyhow::Result<()> {
    let Why { id, watch } = asked;
    let asked = ("package.why", json!({ "id": id }));
    watch.show(common, client, asked, why_words).await
}

async fn wish(
    common: &Common,
    client: &Client,
    method: &str,
    params: Value,
    said: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let done = client.call(method, params).await?;
    show::done(common, &done, said);
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
        paint::state(&show::text(summary, "status"))
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
    let asleep = show::text(&entry["asleep"], "since");
    if !asleep.is_empty() {
        lines.push(format!("  its JavaScript sleeps since: {asleep}"));
    }
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for check in members(&entry["statusInfo"]["health"]).values() {
        lines.push(
            format!(
                "  check {}: {} {}",
                show::text(check, "name"),
                paint::state(&show::text(check, "result")),
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
        words if words.is_empty() => {
            format!("{id} is {}.", paint::state(&show::text(summary, "status")))
        }
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
