//! `make bench`: measures, on this machine, what was promised; the results go to `docs/benchmarks.md`.

use anyhow::Result;

use crate::build::{self, cargo};
use crate::checkout::Checkout;
use crate::command;
use crate::examples;
use crate::steps::Steps;

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    steps.always("benchmarks", || {
        // The profile that people run with `make run`.
        let mut bench = cargo(checkout);
        bench.args([
            "bench",
            "--profile",
            "dev",
            "--package",
            "coppice",
            "--bench",
            "promises",
        ]);
        build::run_as_root(&mut bench, &[])?;
        command::run(built.told_to(checkout, &mut bench))
    })?;
    steps.always("supervisor, beside Erlang's", || {
        let mut bench = cargo(checkout);
        bench.args([
            "bench",
            "--profile",
            "dev",
            "--workspace",
            "--bench",
            "restart",
        ]);
        command::run(built.told_to(checkout, &mut bench))
    })
}
