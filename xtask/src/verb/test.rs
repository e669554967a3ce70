//! `make test`: all that continuous integration runs. Cheap and telling checks come first.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::check;
use crate::build::{self, cargo};
use crate::checkout::Checkout;
use crate::command;
use crate::examples;
use crate::newcomer;
use crate::npm;
use crate::steps::Steps;

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only the Rust tests whose names contain this, and nothing else.
    filter: Option<String>,
}

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps, options: &Options) -> Result<()> {
    if options.filter.is_none() {
        check::run(checkout, steps)?;
    }
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    examples::pack_tried(checkout, steps, &built)?;

    let mut times = Vec::new();
    steps.always("Rust tests", || {
        let mut cargo = rust_tests(checkout)?;
        built.told_to(checkout, &mut cargo);
        cargo
            .args(["--", "-Zunstable-options", "--report-time"])
            .args(&options.filter);
        times = timed(&mut cargo)?;
        Ok(())
    })?;
    for (name, duration) in times {
        steps.took(&name, duration);
    }
    if options.filter.is_none() {
        steps.always("Rust examples in documentation", || {
            let mut cargo = cargo(checkout);
            command::run(built.told_to(
                checkout,
                cargo.args(["test", "--quiet", "--workspace", "--doc"]),
            ))
        })?;
        typescript_tests(checkout, steps)?;
        steps.always("a new package: make test", || {
            newcomer::try_out(checkout, &built.coppice)
        })?;
    }
    eprintln!("\nThe slowest ten:\n{}", steps.slowest(10));
    Ok(())
}

fn typescript_tests(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    for project in npm::projects(checkout)? {
        project.install(checkout, steps)?;
        // The tests of the examples look at what the package authors' tools made.
        for script in [
            project.script(&["build"]),
            project.script(&["test"]),
            project.script(&["e2e"]),
        ]
        .into_iter()
        .flatten()
        {
            steps.always(&format!("{}: npm run {script}", project.name), || {
                project.run(script)
            })?;
        }
    }
    Ok(())
}

/// All tests but those in documentation.
///
/// The test harness tells times only where it believes to be a nightly one. Only the tests are told so, by way of a
/// runner: told to cargo, it would change what is built.
pub(crate) fn rust_tests(checkout: &Checkout) -> Result<Command> {
    let mut test = cargo(checkout);
    test.args([
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
    ]);
    build::run_as_root(&mut test, &["RUSTC_BOOTSTRAP=1"])?;
    Ok(test)
}

/// Runs tests, shows what is not simply well, and returns how long each took.
fn timed(cargo: &mut Command) -> Result<Vec<(String, Duration)>> {
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo's output is not open")?;
    let mut times = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what the tests print")?;
        match passed(&line) {
            Some(time) => times.push(time),
            None if line.trim().is_empty() => {}
            None => println!("{line}"),
        }
    }
    ensure!(child.wait()?.success(), "some tests failed, see above");
    Ok(times)
}

/// Name and time from a line such as `test a::b ... ok <0.012s>`.
fn passed(line: &str) -> Option<(String, Duration)> {
    let (name, time) = line
        .strip_prefix("test ")?
        .strip_suffix("s>")?
        .split_once(" ... ok <")?;
    Some((
        name.to_owned(),
        Duration::try_from_secs_f64(time.parse().ok()?).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_test_harness_are_read() {
        let time = Duration::from_millis(12);
        assert_eq!(
            passed("test a::b ... ok <0.012s>"),
            Some(("a::b".to_owned(), time))
        );
        for other in [
            "test a::b ... FAILED <0.012s>",
            "test a::b ... ignored",
            "running 3 tests",
            "",
        ] {
            assert_eq!(passed(other), None);
        }
    }
}
