//! The TypeScript projects: what they need installed, their scripts run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::checkout::Checkout;
use crate::command;
use crate::steps::{Outcome, Steps};

/// One folder with a `package.json` and a lock file.
pub(crate) struct Project {
    /// Its folder, seen from the top of the checkout.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    scripts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PackageJson {
    #[serde(default)]
    scripts: BTreeMap<String, String>,
}

/// Every project of the checkout, in the order in which they build on each other.
pub(crate) fn projects(checkout: &Checkout) -> Result<Vec<Project>> {
    let files = checkout.files()?;
    let mut folders: Vec<_> = files
        .iter()
        .filter(|file| file.ends_with("package-lock.json"))
        .collect();
    // The UI is the only one that takes others of ours in.
    folders.sort_by_key(|lock| (lock.starts_with("web"), lock.to_path_buf()));
    folders
        .into_iter()
        .filter_map(|lock| lock.parent())
        .map(|folder| project(checkout, folder))
        .collect()
}

/// The project in `folder`, seen from the top of the checkout.
pub(crate) fn project(checkout: &Checkout, folder: &Path) -> Result<Project> {
    let path = checkout.root.join(folder).join("package.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let package: PackageJson = serde_json::from_str(&text)
        .with_context(|| format!("{} is not understood", path.display()))?;
    Ok(Project {
        name: folder.display().to_string(),
        folder: checkout.root.join(folder),
        scripts: package.scripts,
    })
}

impl Project {
    /// Installs what the lock file names, unless that is what is installed.
    pub(crate) fn install(&self, checkout: &Checkout, steps: &mut Steps) -> Result<()> {
        let lock = fs::read_to_string(self.folder.join("package-lock.json"))?;
        // `sdk/examples/build.sh` keeps the same file in the same way.
        let installed = self.folder.join("node_modules/.installed");
        steps.step(&format!("{}: npm packages", self.name), || {
            if fs::read_to_string(&installed).is_ok_and(|old| old == lock) {
                return Ok(Outcome::Unchanged);
            }
            command::run(self.npm().args(["ci", "--no-audit", "--no-fund"]))?;
            checkout.write(&installed, &lock)?;
            Ok(Outcome::Done)
        })
    }

    /// The first of `names` that this project has a script for.
    pub(crate) fn script<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names
            .iter()
            .copied()
            .find(|name| self.scripts.contains_key(*name))
    }

    /// Runs a script of its `package.json`.
    pub(crate) fn run(&self, script: &str) -> Result<()> {
        command::run(self.npm().args(["run", "--silent", script]))
    }

    fn npm(&self) -> Command {
        let mut npm = command::as_user("npm");
        npm.current_dir(&self.folder)
            .env("NG_CLI_ANALYTICS", "false");
        npm
    }
}
