//! `make bench`: measures, on this machine, what was promised; the results go to `docs/benchmarks.md`.

use anyhow::Result;

use crate::build::{self, cargo};
use crate::checkout::Checkout;
use crate::command;
use crate::examples;
use crate::steps::Steps;

/// How many trees there are at once; each number in a process of its own, whose memory is its own.
const TREES: [u32; 3] = [100, 1_000, 10_000];

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    steps.always("benchmarks of the store", || {
        let mut bench = cargo(checkout);
        bench.args(["bench", "--package", "patchdb", "--bench", "store"]);
        command::run(&mut bench)
    })?;
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
    })?;
    for trees in TREES {
        steps.always(&format!("{trees} service trees"), || {
            let mut measure = cargo(checkout);
            // The whole workspace, as `make test` builds it: another choice of crates would build all anew.
            measure.args(["test", "--quiet", "--workspace", "--lib", "--"]);
            measure.args([
                "--ignored",
                "--nocapture",
                "--exact",
                "testing::scale::scale",
            ]);
            build::run_as_root(&mut measure, &[])?;
            command::run(built.told_to(checkout, measure.env("COPPICE_SCALE", trees.to_string())))
        })?;
    }
    Ok(())
}
