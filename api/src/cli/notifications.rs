//! Verbs about what packages and the server told people.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Common, client::Client, show};

const SEEN: &str = "noted as seen";
const GONE: &str = "gone";

/// Verbs of `notification`.
#[derive(Debug, Subcommand)]
pub enum Notification {
    /// What people were told, the newest first.
    List {
        /// How many, at most.
        #[arg(short = 'n', long, default_value_t = 40)]
        limit: u64,
        /// Only those with smaller numbers.
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Note that some were seen.
    Seen {
        /// Their numbers, as `list` shows them.
        #[arg(value_name = "NUMBER", required_unless_present = "up_to")]
        ids: Vec<u64>,
        /// This one, and all with smaller numbers.
        #[arg(long, value_name = "NUMBER", conflicts_with = "ids")]
        up_to: Option<u64>,
    },
    /// Note that some were not seen.
    Unseen {
        /// Their numbers, as `list` shows them.
        #[arg(value_name = "NUMBER", required = true)]
        ids: Vec<u64>,
    },
    /// Take some away.
    Remove {
        /// Their numbers, as `list` shows them.
        #[arg(value_name = "NUMBER", required_unless_present = "before")]
        ids: Vec<u64>,
        /// All with smaller numbers.
        #[arg(long, value_name = "NUMBER", conflicts_with = "ids")]
        before: Option<u64>,
    },
    /// Tell people something.
    Create {
        /// How urgent it is.
        #[arg(long, value_enum, default_value = "info")]
        level: Level,
        /// In the name of this package, instead of the server's.
        #[arg(long, value_name = "ID")]
        package: Option<String>,
        /// What it is about.
        title: String,
        /// One paragraph.
        message: String,
    },
}

/// How urgent a notification is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Level {
    /// Something went well.
    Success,
    /// Something to know.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

pub(super) async fn notification(common: &Common, verb: Notification) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    let (method, params, said) = match verb {
        Notification::List { limit, before } => {
            let asked = json!({ "limit": limit, "before": before });
            let listed = client.call("notification.list", asked).await?;
            show::print(common, &listed, || words(&listed));
            return Ok(());
        }
        Notification::Seen { ids, up_to } => match up_to {
            Some(last) => ("mark-seen-before", json!({ "before": last }), SEEN),
            None => ("mark-seen", json!({ "ids": ids }), SEEN),
        },
        Notification::Unseen { ids } => ("mark-unseen", json!({ "ids": ids }), "noted as not seen"),
        Notification::Remove { ids, before } => match before {
            Some(end) => ("remove-before", json!({ "before": end }), GONE),
            None => ("remove", json!({ "ids": ids }), GONE),
        },
        Notification::Create {
            level,
            package,
            title,
            message,
        } => {
            let params = json!({
                "package": package, "level": level.name(), "title": title, "message": message,
            });
            ("create", params, "people will see it")
        }
    };
    let done = client
        .call(&format!("notification.{method}"), params)
        .await?;
    show::done(common, &done, || said.to_owned());
    Ok(())
}

fn words(listed: &Value) -> String {
    let rows = listed.as_array().into_iter().flatten().map(|one| {
        let from = match show::text(one, "packageId") {
            package if package.is_empty() => "the server".to_owned(),
            package => package,
        };
        let new = if one["seen"] == true { "" } else { "new" };
        let [id, when, level] = ["id", "createdAt", "level"].map(|member| show::text(one, member));
        let said = match (show::text(one, "title"), show::text(one, "message")) {
            (title, message) if title.is_empty() || message.is_empty() => title + &message,
            (title, message) => format!("{title}: {message}"),
        };
        vec![id, when, from, level, new.to_owned(), said]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return "Nobody was told anything.".to_owned();
    }
    show::table(&["number", "when", "from", "level", "", "what"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_a_line_that_says_from_whom_and_whether_it_is_new() {
        let listed = json!([
            { "id": 7, "packageId": null, "createdAt": "2026-11-27T01:00:00.000Z", "level": "info",
              "title": "Disk", "message": "It is full.", "seen": false },
            { "id": 6, "packageId": "hello", "createdAt": "2026-11-27T00:00:00.000Z", "level": "error",
              "title": "Failed", "message": "", "seen": true },
        ]);
        let text = words(&listed);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1][2..].join(" "),
            "the server info new Disk: It is full."
        );
        assert_eq!(lines[2][2..].join(" "), "hello error Failed");
        assert_eq!(words(&json!([])), "Nobody was told anything.");
    }
}
