//! Programs of the machine, and what they print.

use std::process::{Command, Output};

/// What a program printed; panics with its complaint when it fails.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}; is it installed?"));
    succeeded(program, &output)
}

/// The standard output of a program that succeeded.
#[track_caller]
pub(crate) fn succeeded(what: &str, output: &Output) -> String {
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
