//! A new author's first minutes, as `sdk/README.md` tells them: a package is begun, and before anything of it is
//! built its own tests are run.
//!
//! Their npm settings are this machine's, and what npm has in its cache is not asked for again, so that only the
//! first time costs the network.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::command;

/// As in the guide.
const NAME: &str = "photo-wall";

/// What `make` tells the makes it calls: an author's is called by nobody.
const OF_MAKE: [&str; 3] = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"];

/// Begins a package in a folder of its own, with this program, and runs its tests.
pub(crate) fn try_out(checkout: &Checkout, coppice: &Path) -> Result<()> {
    let folder = checkout.make_own_cache()?.join("newcomer");
    remove(&folder)?;
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    command::give_to_user(&folder)?;
    let mut begin = command::as_user(coppice);
    command::run(begin.args(["package", "new", NAME]).current_dir(&folder))?;
    let mut make = command::as_user("make");
    for variable in OF_MAKE {
        make.env_remove(variable);
    }
    make.arg("test").env("npm_config_prefer_offline", "true");
    command::run(make.current_dir(folder.join(NAME)))?;
    remove(&folder)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
