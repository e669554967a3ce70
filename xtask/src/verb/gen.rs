//! `make gen`: writes what is generated from Rust. The only such thing is TypeScript types, made by `ts-rs`.
//!
//! `ts-rs` writes a type when the test it derives is run, into the folder that `.cargo/config.toml` names.

use anyhow::Result;

use crate::build::cargo;
use crate::checkout::Checkout;
use crate::command;
use crate::steps::Steps;

/// Where the types go, seen from the top of the checkout.
pub(crate) const FOLDER: &str = "web/src/app/api/generated";

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    steps.always("TypeScript types", || write(checkout, FOLDER))
}

/// Writes all types into `folder`, seen from the top of the checkout.
pub(crate) fn write(checkout: &Checkout, folder: &str) -> Result<()> {
    let mut test = cargo(checkout);
    test.args([
        "test",
        "--quiet",
        "--package",
        "coppice-actors",
        "--lib",
        "export_bindings_",
    ]);
    command::run(test.env("TS_RS_EXPORT_DIR", checkout.root.join(folder)))
}
