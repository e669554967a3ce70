//! Verbs about what services use and may use.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Common, client::Client, show, watch::Watch};

/// Options of `service limits`.
#[derive(Debug, Args)]
pub struct Limits {
    /// The service.
    id: String,
    /// Memory, page cache included: bytes, or with K, M, G or T (of 1,024).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Processes and threads.
    #[arg(long, value_name = "NUMBER")]
    pids: Option<u32>,
    /// Share of the processor when it is scarce, 1 to 10000; 100 is usual.
    #[arg(long, value_name = "WEIGHT")]
    cpu_weight: Option<u16>,
    /// Back to Coppice's own limits, but for those given along with it.
    #[arg(long)]
    reset: bool,
}

pub(super) async fn ps(
    common: &Common,
    client: &Client,
    id: &str,
    watch: Watch,
) -> anyhow::Result<()> {
    let asked = ("package.daemons", json!({ "id": id }));
    watch.show(common, client, asked, table).await
}

fn table(daemons: &Value) -> String {
    let rows: Vec<_> = daemons
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, one)| {
            let usage = &one["usage"];
            let count = |member: &str, words: fn(u64) -> String| {
                usage[member].as_u64().map_or_else(|| "-".to_owned(), words)
            };
            vec![
                show::text(one, "name"),
                show::text(one, "owner"),
                show::text(one, "pid"),
                show::text(one, "since"),
                count("cpuUs", |us| show::span(us / 1000)),
                count("memoryBytes", show::bytes),
                count("ioReadBytes", show::bytes),
                count("ioWriteBytes", show::bytes),
                count("pids", |pids| pids.to_string()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "No daemon of it runs.".to_owned();
    }
    let heading = [
        "daemon", "owner", "pid", "since", "cpu", "memory", "read", "written", "tasks",
    ];
    show::table(&heading, rows)
}

pub(super) async fn limits(common: &Common, client: &Client, limits: Limits) -> anyhow::Result<()> {
    let params = limits.params();
    let changes = params.len() > 1;
    let method = if changes {
        "package.set-limits"
    } else {
        "package.limits"
    };
    let now = client.call(method, Value::Object(params)).await?;
    show::print(common, &now, || limits_words(&now));
    Ok(())
}

impl Limits {
    fn params(self) -> Map<String, Value> {
        let given = [
            ("id", Some(json!(self.id))),
            ("memoryBytes", self.memory.map(|bytes| json!(bytes))),
            ("pids", self.pids.map(|pids| json!(pids))),
            ("cpuWeight", self.cpu_weight.map(|weight| json!(weight))),
            ("reset", self.reset.then(|| json!(true))),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

fn limits_words(limits: &Value) -> String {
    let row = |name: &str, member: &str, words: fn(u64) -> String| {
        let value = limits["effective"][member].as_u64();
        let whose = if limits["chosen"][member].is_null() {
            "Coppice's"
        } else {
            "yours"
        };
        vec![
            name.to_owned(),
            value.map_or_else(|| "none".to_owned(), words),
            whose.to_owned(),
        ]
    };
    let rows = [
        row("memory", "memoryBytes", show::bytes),
        row("processes", "pids", |pids| pids.to_string()),
        row("cpu weight", "cpuWeight", |weight| weight.to_string()),
    ];
    show::table(&["limit", "value", "set by"], rows)
}

/// `512M`, `2G`, `1048576`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: a number, or one with K, M, G or T");
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let power = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << power).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("2GiB", 2 << 30),
            ("1T", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "5X", "1.5G", "-1", "99999999999T", "12Mé"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_nobody_counts_is_a_dash_and_not_a_zero() {
        let usage = json!({ "cpuUs": 65_000_000, "memoryBytes": 3 << 20, "ioReadBytes": null });
        let one =
            json!({ "name": "web", "owner": "host", "pid": 7, "since": "now", "usage": usage });
        let said = table(&json!({ "web.1": one }));
        let line = said.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "web", "host", "7", "now", "1m", "5s", "3.0", "MiB", "-", "-", "-"
            ]
        );
        assert_eq!(table(&json!({})), "No daemon of it runs.");
    }

    #[test]
    fn only_what_is_given_is_asked_for() {
        let limits = Limits {
            id: "a".into(),
            memory: Some(1),
            pids: None,
            cpu_weight: None,
            reset: false,
        };
        let params = Value::Object(limits.params());
        assert_eq!(params, json!({ "id": "a", "memoryBytes": 1 }));
    }

    #[test]
    fn it_is_said_whose_each_limit_is() {
        let said = limits_words(&json!({
            "chosen": { "memoryBytes": null, "pids": 100, "cpuWeight": null },
            "effective": { "memoryBytes": null, "pids": 100, "cpuWeight": 100 },
        }));
        let lines: Vec<Vec<&str>> = said
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["memory", "none", "Coppice's"]);
        assert_eq!(lines[1], ["processes", "100", "yours"]);
    }
}
