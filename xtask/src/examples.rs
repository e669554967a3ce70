//! The example packages: built and packed with our own tools.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::Built;
use crate::checkout::{ARCH, Checkout};
use crate::command;
use crate::stamp::unless_unchanged;
use crate::steps::Steps;

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
        let inputs = [project.clone(), checkout.root.join("s9pk/src")];
        steps.step(&format!("{name}: pack"), || {
            unless_unchanged(checkout, &format!("s9pk-{name}"), &inputs, &s9pk, || {
                let mut pack = command::as_user(&built.coppice);
                pack.args(["s9pk", "pack", "--arch", ARCH, "--output"])
                    .arg(&s9pk)
                    .arg(&project);
                command::run(pack.current_dir(&checkout.root))
            })
        })?;
    }
    Ok(())
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
