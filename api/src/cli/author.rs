//! Verbs for package authors: begin a project, and work on it with every change installed at once.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use coppice_s9pk::PackageId;
use serde_json::json;

use super::{Common, client::Client};

include!(concat!(env!("OUT_DIR"), "/project.rs"));

/// The id and the title that the template has.
const TEMPLATE: (&str, &str) = ("my-service", "My service");
/// Files that have other names in the template, where tools of this repository would take them for their own.
const RENAMED: [(&str, &str); 2] = [
    ("gitignore", ".gitignore"),
    ("tsconfig.template.json", "tsconfig.json"),
];
/// Folders whose changes are made by the build itself.
const MADE: [&str; 6] = [
    "node_modules",
    "javascript",
    "dist",
    ".git",
    ".startos",
    "images",
];
/// What `dev` packs into, in the project's folder.
const PACKED: &str = "dev.s9pk";
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Entries that are looked at for changes; more are no package project.
const MOST_ENTRIES: usize = 20_000;

/// Verbs of `package` for authors.
#[derive(Debug, Subcommand)]
pub enum Author {
    /// Begin a package project in a new folder.
    New(New),
    /// Build, pack, install and start a project, and follow its log; again on every change.
    Dev(Dev),
}

/// Where a project begins.
#[derive(Debug, Args)]
pub struct New {
    /// The package's id, such as `my-service`; the folder is called so, too.
    name: String,
}

/// The project that is worked on.
#[derive(Debug, Args)]
pub struct Dev {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
}

/// Runs a verb.
pub(super) async fn run(common: &Common, verb: Author) -> anyhow::Result<()> {
    match verb {
        Author::New(New { name }) => {
            let made = begin(Path::new("."), &name)?;
            if common.json {
                println!("{}", serde_json::json!({ "folder": made }));
            } else {
                println!("{name} is made. Next: cd {name} && coppice package dev");
            }
            Ok(())
        }
        Author::Dev(verb) => dev(common, verb).await,
    }
}

/// Writes the template, with its name changed, into a new folder in `parent`.
fn begin(parent: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let id: PackageId = name
        .parse()
        .with_context(|| format!("`{name}` cannot be a package's id"))?;
    let folder = parent.join(id.as_str());
    fs::create_dir(&folder).with_context(|| {
        format!(
            "`{}` cannot be made; choose another name, or remove it",
            folder.display()
        )
    })?;
    for (path, text) in FILES {
        let renamed = RENAMED.iter().find(|(from, _)| from == path);
        let place = folder.join(renamed.map_or(*path, |(_, to)| *to));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let text = if path.starts_with("vendor/") {
            (*text).to_owned()
        } else {
            named(text, id.as_str())
        };
        fs::write(&place, &text)
            .with_context(|| format!("`{}` cannot be written", place.display()))?;
        if text.starts_with("#!") {
            make_executable(&place)?;
        }
    }
    Ok(folder)
}

/// The template's text for the package `id`.
fn named(text: &str, id: &str) -> String {
    let words = id.replace('-', " ");
    let mut letters = words.chars();
    let title: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    text.replace(TEMPLATE.0, id).replace(TEMPLATE.1, &title)
}

fn make_executable(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}

async fn dev(common: &Common, Dev { project }: Dev) -> anyhow::Result<()> {
    let mut seen = Tree::of(&project)?;
    loop {
        let following = match round(common, &project).await {
            Ok(following) => Some(following),
            Err(error) => {
                eprintln!("coppice: {error:#}\nwaiting for a change");
                None
            }
        };
        seen = loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = Tree::of(&project)?;
            if now != seen {
                break now;
            }
        };
        drop(following);
    }
}

/// Builds, packs, installs and starts; gives what follows the log.
async fn round(common: &Common, project: &Path) -> anyhow::Result<Following> {
    let built = Command::new("make").current_dir(project).status();
    let built = built.context("`make` cannot be run; install it")?;
    ensure!(built.success(), "the build failed, see above");
    let file = project.join(PACKED);
    must(
        verb(common)?
            .args(["s9pk", "pack", "--arch", std::env::consts::ARCH, "--output"])
            .arg(&file)
            .arg(project),
    )?;
    let archive = coppice_s9pk::Archive::open(fs::File::open(&file)?, None)?;
    let id = archive.manifest()?.id;
    install(common, id.as_str(), &file).await?;
    must(verb(common)?.args(["service", "start", id.as_str()]))?;
    let following = verb(common)?
        .args(["service", "logs", "--follow", "-n", "20", id.as_str()])
        .spawn()?;
    Ok(Following(following))
}

/// Installs it anew, on the data that is there. As an update it would have to prove itself for half a minute each
/// time, and what its author wants to look at would be taken back.
async fn install(common: &Common, id: &str, file: &Path) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    let there = client.call("package.installed-version", json!({ "id": id }));
    if !there.await?.is_null() {
        must(verb(common)?.args(["package", "uninstall", "--soft", id]))?;
    }
    must(verb(common)?.args(["package", "install"]).arg(file))
}

/// A verb of this program, for the same server.
fn verb(common: &Common) -> anyhow::Result<Command> {
    let program =
        std::env::current_exe().context("this program is not where it was; start it again")?;
    let mut verb = Command::new(program);
    if let Some(folder) = &common.data_dir {
        verb.arg("--data-dir").arg(folder);
    }
    if let Some(host) = &common.host {
        verb.arg("--host").arg(host.to_string());
    }
    if let Some(address) = &common.address {
        verb.arg("--address").arg(address);
    }
    if let Some(file) = &common.ca {
        verb.arg("--ca").arg(file);
    }
    Ok(verb)
}

fn must(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "that failed, see above");
    Ok(())
}

/// Prints a service's log for as long as this is there.
#[derive(Debug)]
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        // One that has ended by itself is only waited for.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// The files of a project as they are now: when each was changed, and its size.
#[derive(Debug, PartialEq, Eq)]
struct Tree(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Tree {
    fn of(project: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![project.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("`{}` cannot be read", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                let made = MADE.iter().any(|made| name == *made)
                    || Path::new(&name)
                        .extension()
                        .is_some_and(|end| end == "s9pk");
                // What went away in between is a change that the next look sees.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_dir() && !made {
                    folders.push(entry.path());
                } else if metadata.is_file() && !made {
                    files.insert(entry.path(), (metadata.modified()?, metadata.len()));
                }
                ensure!(
                    files.len() + folders.len() < MOST_ENTRIES,
                    "`{}` has too many files to be a package project",
                    project.display()
                );
            }
        }
        Ok(Self(files))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_new_project_has_its_own_name_in_every_file_and_the_sdk_untouched() {
        let parent = TempDir::new().unwrap();
        let folder = begin(parent.path(), "photo-wall").unwrap();
        let text = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert!(text("src/package.ts").contains("id: 'photo-wall'"));
        assert!(text("src/package.ts").contains("title: 'Photo wall'"));
        assert!(text("package.json").contains("\"name\": \"photo-wall\""));
        assert!(text(".gitignore").contains("node_modules"));
        assert!(text("tsconfig.json").contains("./tsconfig.base.json"));
        assert!(text("vendor/coppice-sdk/package.json").contains("@coppice/sdk"));
        for (path, _) in FILES
            .iter()
            .filter(|(path, _)| !path.starts_with("vendor/"))
        {
            let renamed = RENAMED.iter().find(|(from, _)| from == path);
            let text = text(renamed.map_or(*path, |(_, to)| *to));
            assert!(!text.contains(TEMPLATE.0), "{path} has the template's name");
        }
    }

    #[test]
    fn its_image_recipe_can_be_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = TempDir::new().unwrap();
        let folder = begin(parent.path(), "a").unwrap();
        let mode = fs::metadata(folder.join("images/web.sh"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o111, 0o111);
    }

    #[test]
    fn a_bad_name_and_a_folder_that_is_there_are_refused_and_nothing_is_written() {
        let parent = TempDir::new().unwrap();
        for name in ["My Service", "../a", "a/b", ""] {
            assert!(begin(parent.path(), name).is_err(), "{name}");
        }
        fs::create_dir(parent.path().join("there")).unwrap();
        let refused = begin(parent.path(), "there").unwrap_err();
        assert!(refused.to_string().contains("choose another name"));
        assert_eq!(
            fs::read_dir(parent.path().join("there")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_change_of_a_source_is_seen_and_one_of_what_is_built_is_not() {
        let parent = TempDir::new().unwrap();
        let folder = begin(parent.path(), "a").unwrap();
        let before = Tree::of(&folder).unwrap();
        fs::create_dir(folder.join("javascript")).unwrap();
        fs::write(folder.join("javascript/index.js"), "1").unwrap();
        fs::write(folder.join("a.s9pk"), "1").unwrap();
        assert_eq!(Tree::of(&folder).unwrap(), before);
        fs::write(folder.join("src/more.ts"), "export {};").unwrap();
        let after = Tree::of(&folder).unwrap();
        assert_ne!(after, before);
        fs::write(folder.join("src/more.ts"), "export { };").unwrap();
        assert_ne!(Tree::of(&folder).unwrap(), after);
        fs::remove_file(folder.join("src/more.ts")).unwrap();
        assert_eq!(Tree::of(&folder).unwrap(), before);
    }
}
