//! `coppice doctor`: what this machine can do, tried, and what to do about what it cannot.
//!
//! Without what is *needed* no service runs, and the exit status says so. The rest is advice.

mod clock;
mod ports;

use std::process::ExitCode;

use clap::Args;
use coppice_api::cli::{Common, paint};
use coppice_containers::{Backend, Check, HostLayout, LxcBackend, Segment, prepare_process};
use serde_json::{Value, json};

use crate::ports::Ports;

/// What the server would be started with.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ports: Ports,
}

/// Something that was tried, and whether anything runs without it.
struct Tried {
    check: Check,
    needed: bool,
}

pub(crate) fn run(common: &Common, options: &Options) -> ExitCode {
    let Ok(needed) = needed(common) else {
        eprintln!("coppice: the checks could not be run; run them as root");
        return ExitCode::FAILURE;
    };
    let advice = clock::checks()
        .into_iter()
        .chain(ports::checks(options.ports));
    let tried: Vec<Tried> = needed
        .into_iter()
        .map(|check| (check, true))
        .chain(advice.map(|check| (check, false)))
        .map(|(check, needed)| Tried { check, needed })
        .collect();
    if common.json {
        println!("{:#}", Value::from_iter(tried.iter().map(Tried::json)));
    } else {
        tried
            .iter()
            .flat_map(Tried::lines)
            .for_each(|line| println!("{line}"));
    }
    if tried.iter().all(|one| one.check.ok || !one.needed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Tried {
    fn json(&self) -> Value {
        let mut value = json!(self.check);
        value["needed"] = self.needed.into();
        value
    }

    fn lines(&self) -> Vec<String> {
        let mark = match (self.check.ok, self.needed) {
            (true, _) => "ok     ",
            (false, true) => "MISSING",
            (false, false) => "note   ",
        };
        let found = format!(
            "{} {}: {}",
            paint::state(mark),
            self.check.name,
            self.check.found
        );
        let next = self.check.next_step.iter();
        let next = next.filter(|_| !self.check.ok);
        std::iter::once(found)
            .chain(next.map(|step| format!("        {step}")))
            .collect()
    }
}

/// One outcome, with what to do when it is not the one that is wanted.
fn check(name: &str, outcome: Result<String, String>, next_step: &str) -> Check {
    let ok = outcome.is_ok();
    Check {
        name: name.to_owned(),
        ok,
        found: outcome.unwrap_or_else(|found| found),
        next_step: (!ok).then(|| next_step.to_owned()),
    }
}

/// What containers need, tried.
fn needed(common: &Common) -> anyhow::Result<Vec<Check>> {
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe { prepare_process() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let data = common.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    // A name of its own: the checks must not meet a server that runs.
    let layout = HostLayout::new(Segment::new(format!("doctor{}", std::process::id()))?, data);
    let run = layout.run.clone();
    let backend = LxcBackend::new(layout)?;
    let checks = runtime.block_on(backend.preflight());
    // The checks clean up after themselves; their folder is all that is left.
    std::fs::remove_dir_all(run)?;
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(ok: bool, needed: bool) -> Tried {
        let outcome = if ok {
            Ok("here".to_owned())
        } else {
            Err("away".to_owned())
        };
        Tried {
            check: check("a thing", outcome, "get one"),
            needed,
        }
    }

    #[test]
    fn what_is_missing_is_marked_and_comes_with_what_to_do() {
        assert_eq!(tried(true, true).lines(), ["ok      a thing: here"]);
        assert_eq!(
            tried(false, true).lines(),
            ["MISSING a thing: away", "        get one"]
        );
        assert_eq!(
            tried(false, false).lines(),
            ["note    a thing: away", "        get one"]
        );
    }

    #[test]
    fn programs_are_told_the_same() {
        assert_eq!(
            tried(false, false).json(),
            json!({ "name": "a thing", "ok": false, "found": "away", "next_step": "get one", "needed": false })
        );
    }
}
