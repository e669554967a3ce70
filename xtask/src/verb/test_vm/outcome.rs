//! What a run came to, from the lines that `story.sh` prints.

use std::fmt::Write as _;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::command;

/// One suite's end.
#[derive(Debug, PartialEq, Eq)]
struct Suite {
    name: String,
    passed: u32,
    failed: u32,
    status: String,
    seconds: String,
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    facts: Vec<String>,
    suites: Vec<Suite>,
    passed: u32,
    failed: u32,
    finished: bool,
}

impl Outcome {
    /// Takes a line.
    pub(super) fn heard(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["@@", "begin", _] => (self.passed, self.failed) = (0, 0),
            ["@@", "end", name, status, seconds] => self.suites.push(Suite {
                name: (*name).to_owned(),
                passed: self.passed,
                failed: self.failed,
                status: (*status).to_owned(),
                seconds: (*seconds).to_owned(),
            }),
            ["@@", "finished"] => self.finished = true,
            ["@@", "kernel" | "cgroups" | "apparmor", ..] => self.facts.push(words[1..].join(" ")),
            ["test", "result:", rest @ ..] => {
                self.passed += before(rest, "passed;");
                self.failed += before(rest, "failed;");
            }
            _ => {}
        }
    }

    /// Whether everything ran, and nothing failed.
    pub(super) fn is_well(&self) -> bool {
        self.finished && self.suites.iter().all(|suite| suite.status == "0")
    }

    /// `docs/test-vm.md`.
    pub(super) fn page(&self, checkout: &Checkout) -> Result<String> {
        let date = command::output(command::as_user("date").args(["-u", "+%F"]))?;
        let mut git = command::as_user("git");
        let commit = command::output(git.current_dir(&checkout.root).args([
            "rev-parse",
            "--short",
            "HEAD",
        ]))?;
        let qemu = command::output(command::as_user("qemu-system-x86_64").arg("--version"))?;
        Ok(self.text(
            date.trim(),
            commit.trim(),
            qemu.lines().next().unwrap_or_default(),
        ))
    }

    fn text(&self, date: &str, commit: &str, qemu: &str) -> String {
        let mut page = format!(
            "# The last run of `make test-vm`\n\n\
             Written by that command. It boots Debian 13 with its own kernel in {qemu} (`-accel tcg`), so times say\n\
             nothing of real machines.\n\n\
             - On {date}, from commit {commit}: {}\n",
            if self.is_well() {
                "all is well"
            } else {
                "**something failed**"
            }
        );
        for fact in &self.facts {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "- {fact}");
        }
        page += "\n| suite | passed | failed | seconds |\n| --- | --: | --: | --: |\n";
        for suite in &self.suites {
            let Suite {
                name,
                passed,
                failed,
                status,
                seconds,
            } = suite;
            let name = if status == "0" {
                name.clone()
            } else {
                format!("**{name}** (status {status})")
            };
            let _ = writeln!(page, "| {name} | {passed} | {failed} | {seconds} |");
        }
        page
    }
}

/// The number before this word.
fn before(words: &[&str], word: &str) -> u32 {
    let at = words.iter().position(|one| *one == word);
    at.and_then(|at| words[..at].last()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Outcome {
        let mut outcome = Outcome::default();
        lines.iter().for_each(|line| outcome.heard(line));
        outcome
    }

    #[test]
    fn suites_are_counted_and_one_that_failed_is_seen() {
        let lines = [
            "@@ kernel 6.12",
            "@@ begin real",
            "test result: ok. 3 passed; 0 failed; 0 ignored",
            "@@ end real 0 12",
            "@@ begin e2e",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored",
            "@@ end e2e 1 30",
            "@@ finished",
        ];
        let outcome = told(&lines);
        assert!(!outcome.is_well());
        let page = outcome.text("2026-01-02", "abc", "QEMU 7");
        assert!(
            page.contains("| real | 3 | 0 | 12 |\n| **e2e** (status 1) | 3 | 1 | 30 |"),
            "{page}"
        );
        assert!(page.contains("- kernel 6.12") && page.contains("something failed"));
        assert!(told(&lines[..4]).suites.len() == 1);
    }

    #[test]
    fn a_machine_that_never_came_to_the_end_was_not_well() {
        assert!(!told(&["@@ begin real", "@@ end real 0 1"]).is_well());
        assert!(told(&["@@ begin real", "@@ end real 0 1", "@@ finished"]).is_well());
    }
}
