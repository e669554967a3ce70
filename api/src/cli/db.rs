//! Verbs about the state store. With no server running they work on the data folder itself, as far as
//! that makes sense.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use coppice_clock::Wall;
use jiff::{Span, Timestamp, civil, tz::TimeZone};
use patchdb::{Examiner, Options, Store, Why};
use serde_json::{Value, json};

use super::{Common, NotFound, client::Client, progress::patiently, show};

/// Verbs of `db`.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// The public state, or a part of it.
    Dump {
        /// A JSON pointer at or below /public.
        #[arg(default_value = "/public")]
        pointer: String,
    },
    /// Who changed what, when and why; newest first.
    Log {
        /// A JSON pointer: only what touched this place.
        #[arg(default_value = "")]
        pointer: String,
        /// Only this minute: `03:12` (the last time it was that, UTC) or a whole time, `2026-11-26T03:12Z`.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Read everything and compare it with its checksums.
    Check,
    /// Give back the room that the store once needed and no longer does.
    Compact,
    /// The whole state as JSON, the private part included. There are no secrets in it.
    Export,
    /// Put an exported state in the place of this one. The server must not be running.
    Import {
        /// What `coppice db export` printed; standard input when it is `-`.
        file: PathBuf,
    },
}

/// Starts this program again, to look a store's file over.
///
/// # Errors
/// When the system does not say which program this is.
pub fn examiner() -> std::io::Result<Examiner> {
    let program = std::env::current_exe()?;
    Ok(Examiner::by(move |file| {
        let mut command = std::process::Command::new(&program);
        command.arg("examine").arg(file);
        command
    }))
}

pub(super) async fn db(common: &Common, verb: Db) -> anyhow::Result<()> {
    match verb {
        Db::Import { file } => import(common, &file).await,
        Db::Check => check(common).await,
        Db::Dump { pointer } => {
            let dump = call(common, "db.dump", json!({ "pointer": pointer })).await?;
            if common.json {
                println!("{dump}");
            } else {
                println!("{:#}", dump["value"]);
            }
            Ok(())
        }
        Db::Log { pointer, at, limit } => {
            let mut params = json!({ "pointer": pointer, "limit": limit });
            if let Some(at) = at {
                let from = minute(&at, Wall::now())?;
                params["from"] = json!(from);
                params["to"] = json!(from + Span::new().minutes(1));
            }
            let log = call(common, "db.log", params).await?;
            if common.json {
                println!("{log:#}");
            } else {
                let rows = log.as_array().into_iter().flatten().map(row);
                let heading = ["revision", "when", "who", "why", "request", "what"];
                println!("{}", show::table(&heading, rows));
            }
            Ok(())
        }
        Db::Compact => {
            let compacting = call(common, "db.compact", json!({}));
            let done = patiently(common, "compacting the store", compacting).await?;
            if common.json {
                println!("{done}");
            } else {
                println!(
                    "the store took {} bytes and now takes {}",
                    done["before"], done["after"]
                );
            }
            Ok(())
        }
        Db::Export => {
            println!("{:#}", call(common, "db.export", json!({})).await?);
            Ok(())
        }
    }
}

async fn call(common: &Common, method: &str, params: Value) -> anyhow::Result<Value> {
    Client::of(common)?.call(method, params).await
}

/// The beginning of the minute meant: of today or yesterday when it says no day.
fn minute(text: &str, now: Wall) -> anyhow::Result<Timestamp> {
    let now = Timestamp::from_millisecond(now.as_millis())?;
    if let Ok(whole) = text.parse::<Timestamp>() {
        return Ok(whole);
    }
    let time: civil::Time = text
        .parse()
        .with_context(|| format!("`{text}` is no time; say `03:12` or `2026-11-26T03:12Z`"))?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let meant = |day: civil::Date| day.to_datetime(time).to_zoned(TimeZone::UTC);
    let at = meant(today)?.timestamp();
    if at <= now {
        return Ok(at);
    }
    Ok(meant(today.yesterday()?)?.timestamp())
}

/// One revision as a row of the table.
fn row(revision: &Value) -> Vec<String> {
    let ops: Vec<String> = match &revision["ops"] {
        Value::Array(ops) => ops
            .iter()
            .map(|op| format!("{} {}", show::text(op, "op"), show::text(op, "path")))
            .collect(),
        _ => vec!["too much to keep".to_owned()],
    };
    let mut row = ["revision", "at", "actor", "cause", "request"]
        .map(|name| show::text(revision, name))
        .to_vec();
    row.push(match &ops[..] {
        [] | [_] => ops.concat(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    });
    row
}

async fn check(common: &Common) -> anyhow::Result<()> {
    let report = match Client::of(common) {
        Ok(client) => {
            let checking = client.call("db.check", json!({}));
            patiently(common, "reading the store", checking).await?
        }
        // Nobody has it open: look at the file itself.
        Err(error) => match (error.downcast_ref(), &common.data_dir) {
            (Some(NotFound::NotThere(_)), Some(data)) => {
                let folder = data.join("state");
                let examiner = examiner()?;
                let looked = tokio::task::spawn_blocking(move || examiner.look_at(&folder));
                let rows = looked.await??;
                json!({ "sound": true, "rows": rows, "damaged": [] })
            }
            _ => return Err(error),
        },
    };
    if common.json {
        println!("{report:#}");
    } else {
        for row in report["damaged"].as_array().into_iter().flatten() {
            println!("{}", show::text(row, "damage"));
        }
        println!("{} rows were read", report["rows"]);
    }
    anyhow::ensure!(
        report["sound"] == true,
        "the store is not sound; restart Coppice, which goes back to the newest sound copy"
    );
    if !common.json && !common.quiet {
        println!("the store is sound");
    }
    Ok(())
}

async fn import(common: &Common, file: &Path) -> anyhow::Result<()> {
    let data = common
        .data_dir
        .as_ref()
        .context("say which data folder, with --data-dir")?;
    let folder = data.join("state");
    // A folder that is no store would be made one.
    anyhow::ensure!(
        folder.join("data.mdb").is_file(),
        "there is no store in `{}`",
        folder.display()
    );
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)
            .with_context(|| format!("`{}` could not be read", file.display()))?;
    }
    let store = tokio::task::spawn_blocking(move || Store::open(folder, Options::default()))
        .await?
        .context("the state cannot be replaced; end the server first with `coppice stop`")?;
    let why = Why::actor("import").for_request("coppice db import");
    let position = store.import_json(&text, why).await?;
    store.close().await;
    if common.json {
        println!("{}", json!({ "revision": position.durable }));
    } else {
        println!(
            "the state is what the file says, as revision {}; start the server again",
            position.durable
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_day_is_the_last_one_that_was() {
        let now: Timestamp = "2026-11-27T01:30:10Z".parse().unwrap();
        let said = |text| minute(text, Wall::from_millis(now.as_millisecond())).unwrap();
        assert_eq!(said("01:30").to_string(), "2026-11-27T01:30:00Z");
        assert_eq!(said("03:12").to_string(), "2026-11-26T03:12:00Z");
        assert_eq!(
            said("2026-11-20T03:12Z").to_string(),
            "2026-11-20T03:12:00Z"
        );
        assert!(minute("noon", Wall::from_millis(0)).is_err());
    }
}
