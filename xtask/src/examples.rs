//! The example packages: built and packed with our own tools.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::Built;
use crate::checkout::{ARCH, Checkout};
use crate::command;
use crate::stamp::unless_unchanged;
use crate::steps::{Outcome, Steps};

/// All of them.
pub(crate) const NAMES: [&str; 5] = [
    "hello",
    "miniflux",
    "syncthing",
    "tiddlywiki",
    "reading-room",
];

/// What `make run` installs, in that order: enough to look around, and no more to wait for.
pub(crate) const AT_FIRST: [&str; 3] = ["hello", "miniflux", "syncthing"];

/// Packages on StartOS's SDK that only the tests go through the life of services with (`sdk/examples/test/packages`).
const TRIED: [&str; 4] = ["ledger", "greenhouse", "lighthouse", "weathervane"];
/// Their versions: one to begin with, a good one after it, and one that must not stay.
const VERSIONS: [&str; 3] = ["1.0.0", "2.0.0", "2.1.0"];

/// Where [`pack`] leaves the packages of this checkout, as `<name>.s9pk`.
pub(crate) fn folder(checkout: &Checkout) -> PathBuf {
    checkout.own_cache().join("examples")
}

/// Builds and packs every example; what is unchanged stays.
pub(crate) fn pack(checkout: &Checkout, steps: &mut Steps, built: &Built) -> Result<()> {
    checkout.make_own_cache()?;
    let folder = folder(checkout);
    for name in NAMES {
        let project = folder.join(name);
        let s9pk = folder.join(format!("{name}.s9pk"));
        steps.always(&format!("{name}: build"), || {
            build(checkout, name, &project)
        })?;
        let name = format!("{name}: pack");
        steps.step(&name, || pack_project(checkout, built, &project, &s9pk))?;
    }
    Ok(())
}

/// Builds and packs what the tests need besides, as `<id>-<version>.s9pk` beside the examples, whose images they have.
pub(crate) fn pack_tried(checkout: &Checkout, steps: &mut Steps, built: &Built) -> Result<()> {
    let folder = folder(checkout);
    let script = checkout.root.join("sdk/examples/test/packages/build.sh");
    for id in TRIED {
        steps.always(&format!("{id}: build and pack"), || {
            for version in VERSIONS {
                let project = folder.join(format!("{id}-{version}"));
                let s9pk = folder.join(format!("{id}-{version}.s9pk"));
                let mut build = command::as_user(&script);
                command::run(build.args([id, version]).arg(&project).arg(&folder))?;
                pack_project(checkout, built, &project, &s9pk)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Packs a project, unless it is what was packed.
fn pack_project(
    checkout: &Checkout,
    built: &Built,
    project: &Path,
    s9pk: &Path,
) -> Result<Outcome> {
    let name = s9pk.file_stem().unwrap_or_default().display();
    let inputs = [project.to_owned(), checkout.root.join("s9pk/src")];
    unless_unchanged(checkout, &format!("s9pk-{name}"), &inputs, s9pk, || {
        let mut pack = command::as_user(&built.coppice);
        pack.args(["s9pk", "pack", "--arch", ARCH, "--output"])
            .arg(s9pk)
            .arg(project);
        command::run(pack.current_dir(&checkout.root))
    })
}

/// The code as the user who called `make`, the images as root: their files belong to many users.
fn build(checkout: &Checkout, name: &str, project: &Path) -> Result<()> {
    let script = checkout.root.join("sdk/examples/build.sh");
    command::run(command::as_user(&script).arg(name).arg(project).arg("code"))?;
    command::run(
        command::as_root(&script)?
            .arg(name)
            .arg(project)
            .arg("images"),
    )
}
