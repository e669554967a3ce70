//! Colour: only for somebody who sees it, and who did not ask to be spared.

use std::{io::IsTerminal, sync::OnceLock};

use comfy_table::Color;

/// Whether standard output may be coloured.
pub(super) fn on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| {
        let said = |name| std::env::var(name).unwrap_or_default();
        wanted(
            std::io::stdout().is_terminal(),
            &said("NO_COLOR"),
            &said("TERM"),
        )
    })
}

/// <https://no-color.org>: any value but an empty one means no.
fn wanted(terminal: bool, no_color: &str, term: &str) -> bool {
    terminal && no_color.is_empty() && term != "dumb"
}

/// The colour of a state: green is well, yellow is on its way or waits for somebody, red is not well.
pub(super) fn of_state(state: &str) -> Option<Color> {
    let word = state.split([' ', ':']).next().unwrap_or_default();
    match word {
        "running" | "success" | "ok" => Some(Color::Green),
        "starting" | "stopping" | "restarting" | "installing" | "removing" | "held"
        | "needs-task" | "waiting" | "loading" | "note" => Some(Color::Yellow),
        "parked" | "error" | "unhealthy" | "failure" | "failed" | "MISSING" => Some(Color::Red),
        _ => None,
    }
}

/// A state, coloured where that is wanted.
pub fn state(text: &str) -> String {
    painted(text, on())
}

fn painted(text: &str, on: bool) -> String {
    let number = match of_state(text).filter(|_| on) {
        Some(Color::Green) => 32,
        Some(Color::Yellow) => 33,
        Some(Color::Red) => 31,
        _ => return text.to_owned(),
    };
    format!("\x1b[{number}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_whose_owner_did_not_forbid_it() {
        assert!(wanted(true, "", "xterm-256color"));
        assert!(!wanted(false, "", "xterm-256color"));
        assert!(!wanted(true, "1", "xterm-256color"));
        assert!(!wanted(true, "", "dumb"));
    }

    #[test]
    fn a_state_is_painted_whole_or_left_alone() {
        assert_eq!(painted("running", true), "\x1b[32mrunning\x1b[0m");
        assert_eq!(
            painted("parked: too often", true),
            "\x1b[31mparked: too often\x1b[0m"
        );
        assert_eq!(painted("running", false), "running");
        assert_eq!(painted("stopped", true), "stopped");
    }
}
