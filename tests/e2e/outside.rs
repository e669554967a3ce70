//! The outer process: starts the run, and cleans up after it whatever happened to it.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, ExitCode},
};

use coppice_clock::Mono;
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    arguments::Arguments,
    leftovers,
    report::{Counts, Verdict},
    scratch::{INSIDE, Scratch},
    steps,
};

const NOTHING_LEFT: &str = "nothing_is_left_on_the_machine";

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let names: Vec<String> = steps::names()
        .into_iter()
        .chain([NOTHING_LEFT.to_owned()])
        .collect();
    let chosen: Vec<&String> = names.iter().filter(|name| arguments.choose(name)).collect();
    if arguments.list {
        chosen.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        println!("\nrunning 0 tests");
        Counts::default().close(names.len(), Mono::now());
        return ExitCode::SUCCESS;
    }
    if let Err(why) = is_possible() {
        eprintln!("e2e: {why}");
        return ExitCode::FAILURE;
    }
    for old in Scratch::abandoned() {
        eprintln!(
            "e2e: removing what an earlier run left: {}",
            old.folder.display()
        );
        leftovers::remove(&old);
    }
    match run(&arguments, names.len()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("e2e: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What nothing here works without.
fn is_possible() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            "these tests make real containers: run them as root (`make test` does)".to_owned(),
        );
    }
    for (variable, what) in [
        ("COPPICE_BASE_IMAGE", "the container base image, a file"),
        ("COPPICE_EXAMPLES", "a folder with the example packages"),
    ] {
        let Some(path) = std::env::var_os(variable) else {
            return Err(format!(
                "{variable} is not set; it names {what}. `make test` builds it and says where it is"
            ));
        };
        if let Err(error) = fs::metadata(&path) {
            return Err(format!(
                "{variable}={}: {error}; it names {what}, which `make test` builds",
                path.display()
            ));
        }
    }
    Ok(())
}

fn run(arguments: &Arguments, all: usize) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let began = Mono::now();
    let (scratch, held) = Scratch::make()?;
    // Signals wait until they are asked for, so that an interrupted run is cleaned up, too.
    let signals = SigSet::from_iter([
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ]);
    signals.thread_block()?;
    let inside = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, &scratch.folder)
        .spawn()?;
    let interrupted = wait(inside, &signals)?;
    let counts = fs::read_to_string(scratch.path("counts"))
        .ok()
        .and_then(|text| Counts::from_text(&text));
    let whole = fs::exists(scratch.path("whole"))?;
    let left = if whole && counts.is_some() {
        leftovers::find_settled(&scratch)
    } else {
        BTreeSet::new()
    };
    leftovers::remove(&scratch);
    drop(held);

    if let Some(signal) = interrupted {
        return Err(format!("ended by {signal}; everything was removed").into());
    }
    let Some(mut counts) = counts else {
        return Err("the run ended before its end; everything was removed".into());
    };
    if whole {
        let verdict = if left.is_empty() {
            Verdict::Ok
        } else {
            Verdict::Failed(format!("these were left and had to be removed: {left:#?}"))
        };
        counts.tell(arguments, NOTHING_LEFT, began, &verdict);
    }
    counts.close(all - counts.passed - counts.failed - counts.ignored, began);
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Waits for the run to end; a signal to us ends it, and is given back.
fn wait(inside: Child, signals: &SigSet) -> nix::Result<Option<Signal>> {
    let pid = Pid::from_raw(inside.id().cast_signed());
    let mut interrupted = None;
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) | Err(Errno::ECHILD) => return Ok(interrupted),
            Err(error) => return Err(error),
        }
        let signal = signals.wait()?;
        if signal != Signal::SIGCHLD {
            interrupted = Some(signal);
            // It has nothing of its own to put in order: all that is done out here.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
    }
}
