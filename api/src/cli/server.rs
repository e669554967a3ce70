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

use super::{
    Common, access, client::Client, logs::Lines, mail, metrics, progress::patiently, show,
};

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
    /// End sessions, by id or by how it begins.
    Kill {
        /// Which.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Tokens for programs.
    #[command(subcommand)]
    Token(access::Token),
    /// Keys that requests are signed with.
    #[command(subcommand)]
    Key(access::Key),
    /// Two-step login with an authenticator app.
    #[command(subcommand)]
    Totp(access::Totp),
    /// Who asked for what, from where, and how it ended.
    Audit,
}

/// Verbs of `server`.
#[derive(Debug, Subcommand)]
pub enum Server {
    /// Names, addresses, versions.
    Info,
    /// How busy the machine is: processor, memory, disk, temperature, load.
    Metrics {
        #[command(flatten)]
        follow: metrics::Follow,
    },
    /// What Coppice itself wrote.
    Logs {
        /// What the kernel said, instead.
        #[arg(long)]
        kernel: bool,
        #[command(flatten)]
        lines: Lines,
    },
    /// The mail settings that packages may use.
    #[command(subcommand)]
    Smtp(mail::Smtp),
    /// What Coppice found, removed and changed about itself.
    Receipts,
}

pub(super) async fn auth(common: &Common, verb: Auth) -> anyhow::Result<()> {
    let client = Client::of(common)?;
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
        Auth::Kill { ids } => access::kill(&client, &ids).await?,
        Auth::Token(verb) => access::token(common, &client, verb).await?,
        Auth::Key(verb) => access::key(common, &client, verb).await?,
        Auth::Totp(verb) => access::totp(common, &client, verb).await?,
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
                    let cells = ["at", "account", "role"];
                    let mut cells = cells.map(|name| show::text(row, name)).to_vec();
                    cells.push(shown_by(&row["with"]));
                    cells.extend(["method", "object"].map(|name| show::text(row, name)));
                    cells.extend([from, outcome(&row["error"])]);
                    cells
                });
                let heading = ["when", "who", "as", "with", "what", "of", "from", "outcome"];
                println!("{}", show::table(&heading, rows));
            }
        }
    }
    Ok(())
}

/// With what somebody showed who they are: of the id, as much as the lists show.
fn shown_by(with: &Value) -> String {
    let short: String = show::text(with, "id").chars().take(8).collect();
    match (with["kind"].as_str(), with["scope"].as_str()) {
        (None, _) => String::new(),
        (Some(kind), None) => format!("{kind} {short}"),
        (Some(kind), Some(scope)) => format!("{kind} {short} ({scope})"),
    }
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
    let client = Client::of(common)?;
    match verb {
        Server::Info => info(common, &client).await,
        Server::Metrics { follow } => metrics::metrics(common, &client, follow).await,
        Server::Logs { kernel, lines } => {
            let method = if kernel {
                "server.kernel-logs"
            } else {
                "server.logs"
            };
            lines.print(common, &client, method, json!({})).await
        }
        Server::Smtp(verb) => mail::smtp(common, &client, verb).await,
        Server::Receipts => receipts(common, &client).await,
    }
}

async fn receipts(common: &Common, client: &Client) -> anyhow::Result<()> {
    let receipts = client.call("server.receipts", json!({})).await?;
    if common.json {
        println!("{receipts:#}");
    } else {
        for receipt in receipts.as_array().into_iter().flatten() {
            println!("{}", receipt_lines(receipt).join("\n"));
        }
    }
    Ok(())
}

/// A receipt for people: a line of what happened, and one for each thing that was found.
fn receipt_lines(receipt: &Value) -> Vec<String> {
    let found = receipt["found"].as_array().map_or(&[][..], Vec::as_slice);
    let things = match found.len() {
        0 => "nothing was left over".to_owned(),
        1 => "one thing was left over".to_owned(),
        many => format!("{many} things were left over"),
    };
    let happened = match (receipt["of"].as_str(), receipt["problem"].as_str()) {
        (Some("start"), _) => {
            let version = show::text(receipt, "version");
            format!("Coppice {version} started; {things}")
        }
        (Some("firewall"), _) => format!("the firewall was made anew; {things}"),
        (Some("upgrade"), Some(why)) => format!(
            "the upgrade to {} was not done: {why}; Coppice went on as before",
            show::text(receipt, "program")
        ),
        (Some("upgrade"), None) => format!(
            "upgraded to {}, version {}",
            show::text(receipt, "program"),
            show::text(receipt, "version")
        ),
        // Of a newer server.
        _ => receipt.to_string(),
    };
    let mut lines = vec![format!("{}  {happened}", show::text(receipt, "at"))];
    lines.extend(found.iter().map(|one| {
        let done = match one["failure"].as_str() {
            None if one["kind"] == "bridge-port" => "taken off the bridge".to_owned(),
            None => "removed".to_owned(),
            Some(why) => format!("still there: {why}"),
        };
        let kind = show::text(one, "kind").replace('-', " ");
        format!("    {kind} {}: {done}", show::text(one, "what"))
    }));
    lines
}

async fn info(common: &Common, client: &Client) -> anyhow::Result<()> {
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

/// The server meant. Where a data folder is named whose server was ended and left its services
/// running, a server is started for it: only one that adopts them can end them in good order.
async fn find_or_start(common: &Common) -> anyhow::Result<Client> {
    let data = match (Client::of(common), &common.data_dir) {
        (Ok(client), _) => return Ok(client),
        (Err(_), Some(data)) if common.host.is_none() && data.join("id").is_file() => data,
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
    let find = || Client::here(Some(data)).is_ok();
    wait(SERVER_PATIENCE, find)
        .await
        .context("no server runs, and the one started to end the services did not come up")?;
    Client::here(Some(data))
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
    let stopping = client.call("server.stop", json!({ "services": !keep_services }));
    patiently(common, "ending", stopping).await?;
    wait(SERVER_PATIENCE, || !goes.answers())
        .await
        .context("the server did not end in time; see its log")?;
    show::done(common, &Value::Null, || {
        let how = if keep_services {
            "Coppice has ended; the services go on"
        } else {
            "Coppice and its services have ended"
        };
        how.to_owned()
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_says_what_happened_what_was_found_and_what_became_of_it() {
        let start = json!({
            "at": "2026-11-27T01:00:00Z", "of": "start", "version": "0.1.0",
            "found": [
                { "kind": "loop-device", "what": "/dev/loop7 over /data/store/x", "failure": null },
                { "kind": "bridge-port", "what": "stray0", "failure": null },
                { "kind": "mount", "what": "/run/coppice/abc234/mnt/x", "failure": "device busy" },
            ],
        });
        assert_eq!(
            receipt_lines(&start),
            [
                "2026-11-27T01:00:00Z  Coppice 0.1.0 started; 3 things were left over",
                "    loop device /dev/loop7 over /data/store/x: removed",
                "    bridge port stray0: taken off the bridge",
                "    mount /run/coppice/abc234/mnt/x: still there: device busy",
            ]
        );
        let upgrade = json!({
            "at": "2026-11-27T01:00:00Z", "of": "upgrade", "program": "/opt/coppice",
            "version": "0.1.0", "attempt": "1", "problem": "its core exited with code 1",
        });
        assert_eq!(
            receipt_lines(&upgrade),
            [
                "2026-11-27T01:00:00Z  the upgrade to /opt/coppice was not done: its core exited with code 1; Coppice \
              went on as before"
            ]
        );
    }
}
