//! What is built, in order: each part goes into the next.
//!
//! ```text
//! agent (static) ─┐
//! runtime bundle ─┼─▶ coppice, the host binary ─▶ packed examples
//! web UI ─────────┘
//! container base image
//! ```

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::checkout::{ARCH, Checkout, target_triple};
use crate::command;
use crate::examples;
use crate::npm;
use crate::stamp::{self, unless_unchanged};
use crate::steps::{Outcome, Steps};

/// The parts that the host binary carries; its build script is told of them by these variables.
pub(crate) struct Embedded {
    agent: PathBuf,
    runtime: PathBuf,
    web: PathBuf,
}

/// Everything that is needed to run Coppice.
pub(crate) struct Built {
    pub(crate) embedded: Embedded,
    /// The host binary.
    pub(crate) coppice: PathBuf,
    /// The root file system that containers share.
    pub(crate) base_image: PathBuf,
}

impl Embedded {
    /// Tells `command`, a cargo, what to embed.
    pub(crate) fn told_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("COPPICE_AGENT", &self.agent)
            .env("COPPICE_RUNTIME_JS", &self.runtime)
            .env("COPPICE_WEB_DIST", &self.web)
    }
}

impl Built {
    /// Tells `command`, a cargo that runs tests, what to embed and where everything else is.
    pub(crate) fn told_to<'a>(
        &self,
        checkout: &Checkout,
        command: &'a mut Command,
    ) -> &'a mut Command {
        self.embedded
            .told_to(command)
            .env("COPPICE_BASE_IMAGE", &self.base_image)
            .env("COPPICE_EXAMPLES", examples::folder(checkout))
    }
}

/// Cargo in the checkout, as the user who called `make`.
pub(crate) fn cargo(checkout: &Checkout) -> Command {
    let mut cargo = command::as_user("cargo");
    cargo.current_dir(&checkout.root);
    cargo
}

/// Has `cargo` run what it builds as root, with `variables` set: namespaces and containers need that.
pub(crate) fn run_as_root(cargo: &mut Command, variables: &[&str]) -> Result<()> {
    let path = env::var("PATH").context("PATH is not set")?;
    let sudo: &[&str] = if command::through_sudo() {
        &["sudo", "--preserve-env"]
    } else {
        &[]
    };
    let words = sudo.iter().chain(&["env"]).chain(variables);
    let runner = words.fold(String::new(), |all, word| all + word + " ") + &format!("PATH={path}");
    cargo.env(format!("CARGO_TARGET_{}_RUNNER", target_variable()), runner);
    Ok(())
}

/// This machine's target, as cargo spells it in names of variables.
fn target_variable() -> String {
    target_triple().replace('-', "_").to_uppercase()
}

/// The agent, the runtime and the web UI.
pub(crate) fn embedded(checkout: &Checkout, steps: &mut Steps) -> Result<Embedded> {
    let triple = target_triple();
    steps.always("agent", || {
        // Static, so that it runs on any base image. The explicit target keeps the flag away from procedural macros.
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target_variable());
        let mut cargo = cargo(checkout);
        cargo.args(["build", "--package", "coppice-agent", "--target", &triple]);
        command::run(cargo.env(flags, "-C target-feature=+crt-static"))
    })?;

    Ok(Embedded {
        agent: checkout.target.join(&triple).join("debug/coppice-agent"),
        runtime: bundle(
            checkout,
            steps,
            "container-runtime/runtime",
            "dist/index.js",
        )?,
        web: {
            bundle(checkout, steps, "patchdb/client", "dist/index.js")?;
            bundle(checkout, steps, "web", "dist/browser")?
        },
    })
}

/// Everything, the host binary and the base image last.
pub(crate) fn all(checkout: &Checkout, steps: &mut Steps) -> Result<Built> {
    let embedded = embedded(checkout, steps)?;
    steps.always("coppice", || {
        command::run(embedded.told_to(cargo(checkout).args(["build", "--package", "coppice"])))
    })?;
    Ok(Built {
        coppice: checkout.target.join("debug/coppice"),
        base_image: base_image(checkout, steps)?,
        embedded,
    })
}

/// Builds a TypeScript project into its `output`, both seen from the top of the checkout and the project.
fn bundle(checkout: &Checkout, steps: &mut Steps, folder: &str, output: &str) -> Result<PathBuf> {
    let project = npm::project(checkout, Path::new(folder))?;
    let output = project.folder.join(output);
    project.install(checkout, steps)?;
    let inputs = [
        project.folder.clone(),
        checkout.root.join("tsconfig.base.json"),
        // The one project that another takes in.
        checkout.root.join("patchdb/client/src"),
    ];
    let stamp = format!("bundle-{}", folder.replace('/', "-"));
    steps.step(&format!("{folder}: bundle"), || {
        unless_unchanged(checkout, &stamp, &inputs, &output, || project.run("build"))
    })?;
    Ok(output)
}

/// The base image comes from Debian packages, so it is made when its recipe changes, once for all checkouts.
fn base_image(checkout: &Checkout, steps: &mut Steps) -> Result<PathBuf> {
    let recipe = checkout.root.join("container-runtime/base");
    let hash = stamp::hash(std::slice::from_ref(&recipe))?;
    let image = checkout.cache.join(format!("base-{ARCH}-{hash}.squashfs"));
    steps.step("container base image", || {
        if image.exists() {
            return Ok(Outcome::Unchanged);
        }
        command::run(command::as_root(recipe.join("build-base.sh"))?.arg(&image))?;
        Ok(Outcome::Done)
    })?;
    Ok(image)
}
