//! `make gen`: writes what is generated from Rust. The only such thing is TypeScript types, made by `ts-rs`.
//!
//! A test of the crate that has the types compares them with the committed file; told to, it writes them instead.
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
            .args(["test", "--quiet", "--package", "coppice-api", "--lib"])
            .arg("schema::generated");
        command::run(&mut write)
    })
}
