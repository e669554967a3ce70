//! `make chaos`: kills everything that may be killed, at random, and looks whether it grows back.
//!
//! The suite is `tests/e2e/chaos.rs`, a step of the end-to-end tests; `make test` runs a few of its rounds. Here it gets a
//! seed of its own each time, more services and as many rounds as one likes.

use std::hash::{BuildHasher, RandomState};

use anyhow::Result;
use clap::Args;

use crate::build::{self, cargo};
use crate::checkout::Checkout;
use crate::command;
use crate::examples;
use crate::steps::Steps;

/// Which rounds to play.
#[derive(Args)]
pub(crate) struct Options {
    /// What the rounds are drawn from; another one each time unless given.
    #[arg(long)]
    seed: Option<u32>,
    /// How many rounds.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// The number of the first round: a round depends on the seed and its number alone.
    #[arg(long, default_value_t = 0)]
    first: u32,
}

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps, options: &Options) -> Result<()> {
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    // The keys of a hash map are this machine's chance.
    let chance = || RandomState::new().hash_one(0) as u32;
    let seed = options.seed.unwrap_or_else(chance);
    steps.always("chaos", || {
        let mut test = cargo(checkout);
        test.args(["test", "--quiet", "--package", "coppice", "--test", "e2e"]);
        test.args(["--", "grown_back"]);
        build::run_as_root(&mut test, &[])?;
        test.env("COPPICE_CHAOS_SEED", seed.to_string())
            .env("COPPICE_CHAOS_ROUNDS", options.rounds.to_string())
            .env("COPPICE_CHAOS_FIRST", options.first.to_string());
        command::run(built.told_to(checkout, &mut test))
    })
}
