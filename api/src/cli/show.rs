//! Values in words and columns.

use comfy_table::{Table, presets::NOTHING};
use serde_json::{Value, json};

use super::CallError;

/// An error with its causes, one line.
pub(super) fn error(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// An error for programs.
pub(super) fn error_json(error: &anyhow::Error) -> Value {
    match error.downcast_ref::<CallError>() {
        Some(call) => {
            json!({ "error": { "code": call.code, "message": call.message, "details": call.details } })
        }
        None => json!({ "error": { "code": 1, "message": format!("{error:#}") } }),
    }
}

/// Rows under a heading, as wide as they need to be.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(heading.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row);
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

/// Why something ended, in plain words.
pub(super) fn cause(cause: &Value) -> String {
    let say = |member: &str| text(cause, member);
    match cause
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "exit" => format!("it ended with exit code {}", say("code")),
        "signal" => {
            let signal = say("signal");
            let name = signal
                .parse::<i32>()
                .ok()
                .and_then(|number| nix::sys::signal::Signal::try_from(number).ok());
            format!(
                "it was ended by {}",
                name.map_or_else(|| format!("signal {signal}"), |name| name.to_string())
            )
        }
        "oom" => "the kernel killed it for memory".to_owned(),
        "container-died" => "its container ended".to_owned(),
        "runtime-died" => "the Node runtime ended under it".to_owned(),
        "operator" => format!("{} asked for it", say("by")),
        "start-failed" => format!("it did not come up: {}", say("message")),
        "stop-failed" => format!("it did not end in good order: {}", say("message")),
        "deadline" => format!("{} took too long", say("waitedFor")),
        _ => say("message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn causes_are_plain_sentences() {
        assert_eq!(
            cause(&json!({"kind": "signal", "signal": 9})),
            "it was ended by SIGKILL"
        );
        assert_eq!(
            cause(&json!({"kind": "exit", "code": 1})),
            "it ended with exit code 1"
        );
    }
}
