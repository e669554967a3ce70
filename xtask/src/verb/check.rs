//! `make check`: what needs no running container. `make test` begins with it.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::build::{self, cargo};
use crate::checkout::Checkout;
use crate::command;
use crate::npm;
use crate::rules;
use crate::steps::{Outcome, Steps};

const CARGO_DENY: &str = "0.20.2";

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let files = checkout.files()?;
    steps.always("house rules", || rules::check(checkout, &files))?;
    steps.always("format", || {
        command::run(cargo(checkout).args(["fmt", "--all", "--check"]))?;
        // Compiled by a package's recipe or by `make fuzz`, so no members of the workspace.
        let outside = [
            "sdk/examples/hello/server/main.rs",
            "fuzz/targets/patch.rs",
            "fuzz/targets/rpc.rs",
            "fuzz/targets/store.rs",
        ];
        command::run(
            command::as_user("rustfmt")
                .current_dir(&checkout.root)
                .args(["--check", "--edition", "2024"])
                .args(outside),
        )
    })?;
    steps.always("shell scripts", || {
        let scripts: Vec<_> = files
            .iter()
            .filter(|file| is_shell(&checkout.root.join(file)))
            .collect();
        command::run(
            command::as_user("shellcheck")
                .current_dir(&checkout.root)
                .arg("--external-sources")
                .args(scripts),
        )
    })?;
    steps.always("documentation", || {
        command::run(command::as_user("docs/check-links.sh").current_dir(&checkout.root))
    })?;
    for project in npm::projects(checkout)? {
        project.install(checkout, steps)?;
        if let Some(script) = project.script(&["check", "typecheck"]) {
            steps.always(&format!("{}: npm run {script}", project.name), || {
                project.run(script)
            })?;
        }
    }
    let embedded = build::embedded(checkout, steps)?;
    steps.always("lints", || {
        let mut clippy = cargo(checkout);
        clippy.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]);
        command::run(embedded.told_to(&mut clippy))
    })?;
    deny(checkout, steps)
}

/// Licences and origins of what we depend on. The tool is built once, into the cache.
fn deny(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let tools = checkout.cache.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = tools.join("bin/cargo-deny");
    steps.step("cargo-deny", || {
        if program.exists() {
            return Ok(Outcome::Unchanged);
        }
        let mut install = command::as_user("cargo");
        install
            .args([
                "install",
                "--locked",
                "--no-default-features",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(&tools);
        command::run(install.arg("cargo-deny"))?;
        ensure!(program.exists(), "cargo installed no {}", program.display());
        Ok(Outcome::Done)
    })?;
    steps.always("licences", || {
        let mut deny = command::as_user(&program);
        command::run(
            deny.current_dir(&checkout.root)
                .args(["check", "bans", "licenses", "sources"]),
        )
    })
}

fn is_shell(file: &Path) -> bool {
    let Ok(bytes) = fs::read(file) else {
        return false;
    };
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    first.starts_with(b"#!")
        && [&b"bash"[..], b"/sh"]
            .iter()
            .any(|shell| first.ends_with(shell))
}
