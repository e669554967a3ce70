//! `make gen`: writes what is generated from Rust. The only such thing is TypeScript types, made by `ts-rs`.
//!
//! Which types, the crate that has them says: `api/examples/types.rs` writes them into the folder it is given.

use std::path::Path;

use anyhow::Result;

use crate::build::cargo;
use crate::checkout::Checkout;
use crate::command;
use crate::steps::Steps;

/// Where the types go, seen from the top of the checkout.
pub(crate) const FOLDER: &str = "web/src/app/api/generated";

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    steps.always("TypeScript types", || {
        let folder = checkout.root.join(FOLDER);
        // A type that is gone from Rust shall be gone here.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        write(checkout, &folder)
    })
}

/// Writes all types into `folder`.
pub(crate) fn write(checkout: &Checkout, folder: &Path) -> Result<()> {
    let mut write = cargo(checkout);
    write
        .args([
            "run",
            "--quiet",
            "--package",
            "coppice-api",
            "--example",
            "types",
            "--",
        ])
        .arg(folder);
    command::run(&mut write)
}
