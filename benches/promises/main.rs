//! What was promised about speed, measured: `make bench`, or
//! `cargo bench --profile dev -p coppice --bench promises -- [start|install|effects|kill|adoption|hosted|calls|idle|asleep|command] [--runs N]`.
//!
//! Every figure is a ratio or a bound that is taken in one run, on one server, with its peer measured in
//! turn: this machine's speed and whatever else it does meet both. `docs/benchmarks.md` says what was
//! promised and what came out.
//!
//! ```text
//! outer   removes what carries this run's names, whatever happened
//!   └─ inner   own mounts and network: a server, the peers, the clock
//! ```

#![allow(clippy::unwrap_used, missing_docs)]

// A machine of its own and a server on it, as the end-to-end tests have them.
#[path = "../../tests/e2e/adoption.rs"]
mod adoption;
#[path = "../../tests/e2e/clones.rs"]
mod clones;
#[path = "../../tests/e2e/console.rs"]
#[allow(dead_code)]
mod console;
#[path = "../../tests/e2e/leftovers.rs"]
#[allow(dead_code)]
mod leftovers;
#[path = "../../actors/containers/tests/support/machine_of_its_own.rs"]
mod machine_of_its_own;
#[path = "../../tests/e2e/packages.rs"]
#[allow(dead_code)]
mod packages;
#[path = "../../tests/e2e/processes.rs"]
#[allow(dead_code)]
mod processes;
#[path = "../../tests/e2e/scratch.rs"]
#[allow(dead_code)]
mod scratch;
#[path = "../../tests/e2e/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../../tests/e2e/until.rs"]
#[allow(dead_code)]
mod until;

mod adopting;
mod api;
mod asleep;
mod bare;
mod calls;
mod command;
mod effects;
mod hosted;
mod idle;
mod install;
mod kill;
mod machine;
mod memory;
mod samples;
mod start;
mod timeline;
mod twenty;

use std::{
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use scratch::{INSIDE, Scratch};

/// What is to be measured.
struct Arguments {
    wanted: Option<String>,
    runs: usize,
}

impl Arguments {
    fn of_process() -> Self {
        let mut words = std::env::args().skip(1);
        let mut arguments = Self {
            wanted: None,
            runs: 12,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--runs" => {
                    arguments.runs = words
                        .next()
                        .and_then(|number| number.parse().ok())
                        .expect("--runs NUMBER")
                }
                // Cargo adds `--bench`.
                flag if flag.starts_with('-') => {}
                name => arguments.wanted = Some(name.to_owned()),
            }
        }
        arguments
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted == name)
    }
}

fn main() -> ExitCode {
    if let Some(socket) = std::env::var_os(calls::BARE) {
        calls::serve_bare(socket.as_ref());
        return ExitCode::SUCCESS;
    }
    match std::env::var_os(INSIDE) {
        Some(folder) => {
            inner(&Scratch::of(&folder).unwrap(), &Arguments::of_process());
            ExitCode::SUCCESS
        }
        None => outer(),
    }
}

fn outer() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("bench: this makes real containers; run it as root (`make bench` does)");
        return ExitCode::FAILURE;
    }
    let (scratch, held) = Scratch::make().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env(INSIDE, &scratch.folder)
        // The parts of a start and an install are read from the server's log.
        .env("COPPICE_E2E_LOG", "info,coppice_actors=debug")
        .status();
    leftovers::remove(&scratch);
    drop(held);
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        other => {
            eprintln!("bench: it did not get to its end: {other:?}");
            ExitCode::FAILURE
        }
    }
}

fn inner(scratch: &Scratch, arguments: &Arguments) {
    machine::isolate(scratch);
    machine::describe(scratch);
    let mut bench = start::Bench::new(scratch);
    if arguments.wants("start") {
        bench.measure(arguments.runs);
        memory::tell_all(&bench.server);
    }
    if arguments.wants("install") {
        install::measure(&bench.server, arguments.runs);
    }
    if arguments.wants("effects") {
        effects::measure(&bench.server, scratch);
    }
    if arguments.wants("kill") {
        kill::measure(&bench.server, 50);
    }
    if arguments.wants("adoption") {
        adopting::measure(&bench.server, scratch, 10);
    }
    if arguments.wants("hosted") {
        hosted::measure(&bench.server, scratch, 200);
    }
    if arguments.wants("calls") {
        calls::measure(&bench.server, scratch);
    }
    if arguments.wants("idle") {
        idle::measure(&bench.server, scratch);
    }
    if arguments.wants("asleep") {
        asleep::measure(&mut bench.server, scratch);
    }
    if arguments.wants("command") {
        command::measure(&bench.server, 100);
    }
    bench.end();
}

/// The time now, finer than the milliseconds that the product's own clock counts.
#[expect(
    clippy::disallowed_methods,
    reason = "here time is what is measured, not what decides"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for but time itself"
)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}
