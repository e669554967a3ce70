//! Verbs about the server itself.

use std::{
    io::{BufRead, IsTerminal},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;
use coppice_actors::Kind;
use serde_json::{Value, json};

use super::{Common, client::Client, show};

/// How long a server may take to come or go.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// Verbs of `auth`.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Set the password; it is read from standard input.
    SetPassword {
        /// Only if none was ever set.
        #[arg(long)]
        only_first: bool,
    },
    /// Who is signed in.
    Sessions,
    /// Who asked for what, from where, and how it ended.
    Audit,
}

/// Verbs of `server`.
#[derive(Debug, Subcommand)]
pub enum Server {
    /// Names, addresses, versions.
    Info,
}

pub(super) async fn auth(common: &Common, verb: Auth) -> anyhow::Result<()> {
    let client = Client::find(common.data_dir.as_deref())?;
    match verb {
        Auth::SetPassword { only_first } => {
            if std::io::stdin().is_terminal() {
                eprintln!("New password, then Enter:");
            }
            let mut password = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut password)
                .context("no password on standard input")?;
            let password = password.trim_end_matches(['\r', '\n']);
            client
                .call(
                    "auth.set-password",
                    json!({ "password": password, "onlyFirst": only_first }),
                )
                .await?;
            if !common.json {
                println!("the password is set; everybody has to sign in again");
            }
        }
        Auth::Sessions => {
            let sessions = client.call("auth.session.list", json!({})).await?;
            if common.json {
                println!("{sessions:#}");
            } else {
                let rows =
                    sessions["sessions"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(id, session)| {
                            vec![
                                id.chars().take(8).collect(),
                                show::text(session, "account"),
                                show::text(session, "loggedIn"),
                                show::text(session, "lastActive"),
                                show::text(session, "userAgent"),
                            ]
                        });
                println!(
                    "{}",
                    show::table(
                        &["session", "account", "signed in", "last active", "with"],
                        rows
                    )
                );
            }
        }
        Auth::Audit => {
            let rows = client.call("auth.audit", json!({})).await?;
            if common.json {
                println!("{rows:#}");
            } else {
                let rows = rows.as_array().into_iter().flatten().map(|row| {
                    let from = match &row["from"] {
                        Value::Null => "this machine".to_owned(),
                        _ => show::text(row, "from"),
                    };
                    let cells = ["at", "account", "role", "method", "object"];
                    let mut cells = cells.map(|name| show::text(row, name)).to_vec();
                    cells.extend([from, outcome(&row["error"])]);
                    cells
                });
                let heading = ["when", "who", "as", "what", "of", "from", "outcome"];
                println!("{}", show::table(&heading, rows));
            }
        }
    }
    Ok(())
}

/// How a recorded call ended, from the number of its error.
fn outcome(error: &Value) -> String {
    match error.as_i64() {
        None => "done".to_owned(),
        Some(code) => {
            let kind = i32::try_from(code).ok().and_then(Kind::from_code);
            kind.map_or_else(
                || format!("error {code}"),
                |kind| kind.words().to_lowercase(),
            )
        }
    }
}

pub(super) async fn server(common: &Common, verb: Server) -> anyhow::Result<()> {
    let Server::Info = verb;
    let client = Client::find(common.data_dir.as_deref())?;
    let info = client
        .call("db.dump", json!({ "pointer": "/public/serverInfo" }))
        .await?;
    let info = &info["value"];
    if common.json {
        println!("{info:#}");
    } else {
        let rows = info
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| vec![name.clone(), show::text(info, name)]);
        println!("{}", show::table(&["", ""], rows));
    }
    Ok(())
}

pub(super) async fn tree(common: &Common) -> anyhow::Result<()> {
    let client = Client::find(common.data_dir.as_deref())?;
    let tree = client.call("server.tree", json!({})).await?;
    if common.json {
        println!("{tree:#}");
    } else {
        let mut lines = Vec::new();
        branch(&tree, "", "", &mut lines);
        println!("{}", lines.join("\n"));
    }
    Ok(())
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
        show::text(node, "state")
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

/// The server meant. Where a data folder is named whose server was ended and left its services
/// running, a server is started for it: only one that adopts them can end them in good order.
async fn find_or_start(common: &Common) -> anyhow::Result<Client> {
    let data = match (Client::find(common.data_dir.as_deref()), &common.data_dir) {
        (Ok(client), _) => return Ok(client),
        (Err(_), Some(data)) if data.join("id").is_file() => data,
        (Err(error), _) => return Err(error),
    };
    std::process::Command::new(std::env::current_exe()?)
        .arg("heart")
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("no server runs, and none could be started to end the services")?;
    let find = || Client::find(Some(data)).is_ok();
    wait(SERVER_PATIENCE, find)
        .await
        .context("no server runs, and the one started to end the services did not come up")?;
    Client::find(Some(data))
}

/// Waits until `holds` does, looking often.
async fn wait(
    patience: Duration,
    holds: impl Fn() -> bool,
) -> Result<(), tokio::time::error::Elapsed> {
    tokio::time::timeout(patience, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

pub(super) async fn stop(common: &Common, keep_services: bool) -> anyhow::Result<()> {
    let client = find_or_start(common).await?;
    let goes = client.clone();
    client
        .call("server.stop", json!({ "services": !keep_services }))
        .await?;
    wait(SERVER_PATIENCE, || !goes.answers())
        .await
        .context("the server did not end in time; see its log")?;
    if !common.json {
        println!(
            "{}",
            if keep_services {
                "Coppice has ended; the services go on"
            } else {
                "Coppice and its services have ended"
            }
        );
    }
    Ok(())
}
