//! Values in words and columns.

use comfy_table::{Cell, Table, presets::NOTHING};
use coppice_actors::{model::RestartRecord, words};
use serde_json::{Value, json};

use super::{CallError, Common, NOT_SIGNED_IN, TOKEN, exit, paint};

/// Headings of columns whose cells are states.
const STATES: [&str; 2] = ["status", "state"];

/// What was asked for: as JSON, or in words.
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

/// That something is done, which nobody hears who asked to be spared.
pub(super) fn done(common: &Common, value: &Value, words: impl FnOnce() -> String) {
    if common.json || !common.quiet {
        print(common, value, words);
    }
}

/// An error with its causes, one line.
pub(super) fn error(common: &Common, error: &anyhow::Error) -> String {
    let refused = error.downcast_ref::<CallError>();
    match (&common.host, refused) {
        (Some(host), Some(refused)) if refused.code == NOT_SIGNED_IN => {
            format!("{error:#} (`coppice login --host {host}`, or a token in {TOKEN})")
        }
        _ => format!("{error:#}"),
    }
}

/// An error for programs.
pub(super) fn error_json(error: &anyhow::Error) -> Value {
    match error.downcast_ref::<CallError>() {
        Some(call) => {
            json!({ "error": { "code": call.code, "message": call.message, "details": call.details } })
        }
        // The server's own kinds of problems have numbers, too; of these only the exit code is known.
        None => {
            json!({ "error": { "code": exit::code(error), "message": format!("{error:#}"), "details": null } })
        }
    }
}

/// Rows under a heading, as wide as they need to be.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    painted_table(heading, rows, paint::on())
}

fn painted_table(
    heading: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    colour: bool,
) -> String {
    let mut table = Table::new();
    // Whether there is colour is decided here and nowhere else.
    table.force_no_tty();
    if colour {
        table.enforce_styling();
    }
    table
        .load_preset(NOTHING)
        .set_header(heading.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(|(column, text)| {
            let is_state = heading
                .get(column)
                .is_some_and(|name| STATES.contains(name));
            match paint::of_state(&text).filter(|_| is_state) {
                Some(colour) => Cell::new(text).fg(colour),
                None => Cell::new(text),
            }
        }));
    }
    let text = table.to_string();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Milliseconds as people say them: `3d 4h`, `5m 2s`.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// Bytes as people say them: `512 B`, `3.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    for (power, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let one = 1_u64 << power;
        if bytes >= one {
            return format!("{}.{} {unit}", bytes / one, bytes % one * 10 / one);
        }
    }
    format!("{bytes} B")
}

/// A member as text; empty when it is not there.
pub(super) fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// What happened to a part of a service, and what was done about it, in one line.
pub(super) fn happened(service: &str, record: &RestartRecord) -> String {
    let ran = record.ran_ms;
    let ran = ran.map(|millis| format!(" after {}", span(millis)));
    let because = match &record.because[..] {
        [] => String::new(),
        links => format!(" because {}", words::explain_further(service, links)),
    };
    format!(
        "{}: it {}{}; {}{because}.",
        record.what,
        words::happened(&record.cause),
        ran.unwrap_or_default(),
        record.action
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_coloured_and_columns_stay_where_they_are() {
        let rows = || {
            vec![
                vec!["a".to_owned(), "running".to_owned(), "x".to_owned()],
                vec!["running".to_owned(), "stopped".to_owned(), "y".to_owned()],
            ]
        };
        let heading = ["service", "status", ""];
        let (plain, painted) = (
            painted_table(&heading, rows(), false),
            painted_table(&heading, rows(), true),
        );
        assert!(!plain.contains('\x1b'), "{plain:?}");
        assert_eq!(painted.matches('\x1b').count(), 2, "{painted:?}");
        let mut bare = String::new();
        let mut pieces = painted.split('\x1b');
        bare.push_str(pieces.next().unwrap());
        for piece in pieces {
            bare.push_str(piece.split_once('m').unwrap().1);
        }
        assert_eq!(bare, plain);
    }

    #[test]
    fn an_error_has_the_same_members_whoever_it_is_of() {
        let ours = error_json(&anyhow::anyhow!("a disk is away"));
        let theirs = error_json(
            &CallError {
                code: 6,
                message: "Not found".into(),
                details: Some("no such service".into()),
            }
            .into(),
        );
        let names = |value: &Value| {
            value["error"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&ours), ["code", "message", "details"]);
        assert_eq!(names(&theirs), names(&ours));
        assert_eq!(
            (&ours["error"]["code"], &theirs["error"]["code"]),
            (&json!(1), &json!(6))
        );
    }

    #[test]
    fn spans_are_said_in_two_units() {
        for (millis, said) in [
            (12, "12ms"),
            (5_000, "5s"),
            (65_000, "1m 5s"),
            (7_260_000, "2h 1m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(span(millis), said);
        }
    }

    #[test]
    fn bytes_are_said_in_the_largest_unit_that_fits() {
        for (count, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), said);
        }
    }

    #[test]
    fn a_record_is_one_plain_sentence() {
        let record: RestartRecord = serde_json::from_value(json!({
            "seq": 7, "at": "2026-01-01T00:00:00.000Z", "what": "runtime",
            "cause": { "kind": "exit", "code": 1 },
            "because": [
                { "is": "parked", "service": "db" },
                { "is": "failed", "service": "db", "what": "init",
                  "cause": { "kind": "start-failed", "message": "no such table" } },
            ],
            "action": "it is held until its dependency db is well again",
            "ranMs": 65_000, "logs": [],
        }))
        .unwrap();
        assert_eq!(
            happened("web", &record),
            "runtime: it ended with exit code 1 after 1m 5s; it is held until its dependency db is well \
             again because its dependency db is parked because its init failed: no such table."
        );
    }
}
