//! The verbs of the Makefile. `setup/ready.sh` has looked after Debian's packages, Rust and Node before this runs.
//!
//! Everything is built as the user who called `make`; what needs root (containers, images, mounts) is done as root,
//! which `ready.sh` became through sudo. Every step says what it does and how long it took.

mod build;
mod checkout;
mod command;
mod debian;
mod examples;
mod heart;
mod leftovers;
mod newcomer;
mod npm;
mod rules;
mod server;
mod stamp;
mod steps;
mod stopwatch;
mod verb {
    pub(crate) mod bench;
    pub(crate) mod chaos;
    pub(crate) mod check;
    pub(crate) mod clean_run;
    mod credentials;
    pub(crate) mod fuzz;
    pub(crate) mod r#gen;
    pub(crate) mod run;
    pub(crate) mod stop;
    pub(crate) mod test;
    pub(crate) mod test_fresh;
    pub(crate) mod test_vm;
}

use std::process::ExitCode;

use clap::Parser;

use crate::checkout::Checkout;
use crate::steps::Steps;

/// Builds, runs and checks Coppice.
#[derive(Parser)]
#[command(name = "make", disable_help_subcommand = true)]
enum Verb {
    /// Build everything, start Coppice in the foreground, install and start the examples.
    Run(verb::run::Options),
    /// Stop the services of `make run`, and Coppice.
    Stop(server::DataDir),
    /// Stop, and remove the data and every trace of it on this machine.
    CleanRun(server::DataDir),
    /// Everything that continuous integration runs.
    Test(verb::test::Options),
    /// Clone and `make run` on a new Debian 13, in a container; takes a while.
    TestFresh,
    /// What depends on the kernel, in a virtual machine with Debian 13's; takes long.
    TestVm,
    /// Format, lints, licences, types, house rules.
    Check,
    /// Write what is generated from Rust: the TypeScript types.
    Gen,
    /// Measure, and compare with what was promised.
    Bench,
    /// Feed what reads bytes of others with whatever libFuzzer thinks of; a minute each, or as told.
    Fuzz(verb::fuzz::Options),
    /// Kill whatever may be killed, at random, and see it grow back; 200 rounds, or as told.
    Chaos(verb::chaos::Options),
}

fn main() -> ExitCode {
    let verb = Verb::parse();
    let mut steps = Steps::default();
    let done = Checkout::find().and_then(|checkout| match verb {
        Verb::Run(options) => verb::run::run(&checkout, &mut steps, &options),
        Verb::Stop(data) => verb::stop::run(&checkout, &mut steps, &data),
        Verb::CleanRun(data) => verb::clean_run::run(&checkout, &data),
        Verb::Test(options) => verb::test::run(&checkout, &mut steps, &options),
        Verb::TestFresh => verb::test_fresh::run(&checkout, &mut steps),
        Verb::TestVm => verb::test_vm::run(&checkout, &mut steps),
        Verb::Check => verb::check::run(&checkout, &mut steps),
        Verb::Gen => verb::r#gen::run(&checkout, &mut steps),
        Verb::Bench => verb::bench::run(&checkout, &mut steps),
        Verb::Fuzz(options) => verb::fuzz::run(&checkout, &mut steps, &options),
        Verb::Chaos(options) => verb::chaos::run(&checkout, &mut steps, &options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
