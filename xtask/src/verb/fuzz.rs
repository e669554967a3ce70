//! `make fuzz`: feeds what reads bytes of others with whatever libFuzzer thinks of.
//!
//! The targets are in `fuzz/`. They are built here and not by `cargo fuzz`: all it would add is these flags. What a
//! target finds is left in the cache, with the inputs that led there, and the next run begins with them.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use crate::checkout::{Checkout, target_triple};
use crate::command;
use crate::steps::Steps;

const TARGETS: [&str; 3] = ["rpc", "patch", "store"];

/// What lets libFuzzer see which ways an input takes; the stable compiler has it, and calls it unstable.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";
/// Megabytes that one input may take.
const MOST_MEMORY: u32 = 1024;
/// Seconds that one input may take.
const MOST_SECONDS: u32 = 20;

/// What to feed, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// One of rpc, patch, store; all of them unless given.
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long each of them is fed.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What the inputs are drawn from; another one each time unless given.
    #[arg(long, default_value_t = 0)]
    seed: u32,
}

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps, options: &Options) -> Result<()> {
    let folder = checkout.root.join("fuzz");
    let built = checkout.cache.join("fuzz-target");
    let triple = target_triple();
    steps.always("targets", || {
        command::run(
            command::as_user("cargo")
                .current_dir(&folder)
                .args(["build", "--release", "--locked", "--target", &triple])
                .env("CARGO_TARGET_DIR", &built)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", INSTRUMENTED),
        )
    })?;
    for name in TARGETS {
        if options
            .target
            .as_deref()
            .is_some_and(|target| target != name)
        {
            continue;
        }
        let found = checkout.cache.join("fuzz").join(name);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        steps.always(&format!("{name}, {} s", options.seconds), || {
            let mut fuzz = Command::new(built.join(&triple).join("release").join(name));
            fuzz.current_dir(&found)
                .arg(&found)
                .arg(folder.join("seeds").join(name))
                .arg(format!("-max_total_time={}", options.seconds))
                .arg(format!("-seed={}", options.seed))
                .arg(format!("-rss_limit_mb={MOST_MEMORY}"))
                .arg(format!("-timeout={MOST_SECONDS}"))
                .arg("-print_final_stats=1");
            command::run(&mut fuzz)
        })?;
    }
    Ok(())
}
