//! `make gen`: writes what is generated from Rust: TypeScript types, made by `ts-rs`, and the manual.
//!
//! A test beside what they are made of compares them with the committed files; told to, it writes them instead.
//! So a stale file fails `make test` without a rule of its own.

use anyhow::Result;

use crate::build::cargo;
use crate::checkout::Checkout;
use crate::command;
use crate::steps::Steps;

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    steps.always("TypeScript types", || {
        let mut write = cargo(checkout);
        write
            .env("COPPICE_GEN", "1")
            // As `make test` builds it: another choice of crates would build all anew.
            .args(["test", "--quiet", "--workspace", "--lib", "--"])
            .arg("schema::generated");
        command::run(&mut write)
    })?;
    steps.always("manual", || {
        let mut write = cargo(checkout);
        write
            .env("COPPICE_GEN", "1")
            .args(["test", "--quiet", "--workspace"])
            .args(["--bin", "coppice", "--", "manual"]);
        command::run(&mut write)
    })
}
