//! A running Coppice, spoken to as everybody else does: through its CLI. What is used of it is all in this file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;

use crate::checkout::Checkout;
use crate::command;

/// The number of "already exists" in the API.
const DUPLICATE: i64 = 53;

/// Which server a verb is about.
#[derive(Args)]
pub(crate) struct DataDir {
    /// Folder with the server's data; `data` in the checkout unless told otherwise.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    /// The folder's full path. It need not exist.
    pub(crate) fn path(&self, checkout: &Checkout) -> Result<PathBuf> {
        let chosen = self
            .data_dir
            .clone()
            .unwrap_or_else(|| checkout.root.join("data"));
        std::path::absolute(&chosen).with_context(|| format!("{} is not a path", chosen.display()))
    }
}

/// The CLI, pointed at one server.
pub(crate) struct Server {
    coppice: PathBuf,
    data: PathBuf,
}

/// One service, as `coppice service list --json` tells of it.
#[derive(Deserialize)]
pub(crate) struct Service {
    pub(crate) id: String,
    /// One word, such as `running`, `stopped` or `needs-task`.
    pub(crate) status: String,
    /// Where its first page is, if it has one.
    pub(crate) address: Option<String>,
}

/// The server itself, as `coppice server info --json` tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    /// The first label of its name on the local network.
    pub(crate) hostname: String,
    pub(crate) https_port: u16,
    pub(crate) http_port: u16,
}

impl Server {
    pub(crate) fn new(coppice: &Path, data: &Path) -> Self {
        Self {
            coppice: coppice.to_owned(),
            data: data.to_owned(),
        }
    }

    /// Where the server of `checkout` would be, if its binary has been built.
    pub(crate) fn built(checkout: &Checkout, data: &Path) -> Option<Self> {
        let coppice = checkout.target.join("debug/coppice");
        coppice.exists().then(|| Self::new(&coppice, data))
    }

    /// Whether a server answers for this data folder.
    pub(crate) fn answers(&self) -> bool {
        let list = self.command(&["service", "list", "--json"]);
        list.is_ok_and(|mut list| {
            list.stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        })
    }

    pub(crate) fn services(&self) -> Result<Vec<Service>> {
        let text = command::output(&mut self.command(&["service", "list", "--json"])?)?;
        serde_json::from_str(&text).context("`coppice service list --json` printed something else")
    }

    pub(crate) fn info(&self) -> Result<Info> {
        let text = command::output(&mut self.command(&["server", "info", "--json"])?)?;
        serde_json::from_str(&text).context("`coppice server info --json` printed something else")
    }

    /// Tries what Coppice needs of this machine, and says what is missing.
    pub(crate) fn preflight(&self) -> Result<()> {
        command::run(&mut self.command(&["doctor"])?)
    }

    /// Sets the admin password of a server that has none; `false` when it has one, which stays: setting another would
    /// lock its owner out and end every session.
    pub(crate) fn set_first_password(&self, password: &str) -> Result<bool> {
        let mut set = self.command(&["--json", "auth", "set-password", "--only-first"])?;
        set.stdout(Stdio::piped());
        let answer = tell(&mut set, password)?.wait_with_output()?;
        if answer.status.success() {
            return Ok(true);
        }
        let text = String::from_utf8_lossy(&answer.stdout);
        ensure!(
            refused_as_duplicate(&text),
            "{set:?} ended with {}: {text}",
            answer.status
        );
        Ok(false)
    }

    pub(crate) fn install(&self, s9pk: &Path) -> Result<()> {
        command::run(self.command(&["package", "install"])?.arg(s9pk))
    }

    /// Runs an action; what it answers may be secret and is not shown.
    pub(crate) fn act(&self, id: &str, action: &str, input: &serde_json::Value) -> Result<()> {
        let mut run = self.command(&["action", "run", id, action, "--input", "-"])?;
        run.stdout(Stdio::null());
        told(run, &input.to_string())
    }

    pub(crate) fn start(&self, id: &str) -> Result<()> {
        command::run(&mut self.command(&["service", "start", id])?)
    }

    /// Ends the services, then Coppice.
    pub(crate) fn stop(&self) -> Result<()> {
        command::run(&mut self.command(&["stop"])?)
    }

    /// The program, told which server it is about.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = command::as_root(&self.coppice)?;
        command.arg("--data-dir").arg(&self.data).args(words);
        Ok(command)
    }
}

/// Starts a command that reads a secret: on its standard input, since everybody may read a command line.
fn tell(command: &mut Command, secret: &str) -> Result<Child> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("its input is not open")?;
    writeln!(stdin, "{secret}")?;
    Ok(child)
}

/// Runs a command that reads a secret.
fn told(mut command: Command, secret: &str) -> Result<()> {
    let status = tell(&mut command, secret)?.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Whether what a verb printed with `--json` says that the thing is there already.
fn refused_as_duplicate(answer: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(answer)
        .is_ok_and(|answer| answer["error"]["code"] == DUPLICATE)
}

/// The short name that a server gives to what it makes on this machine; `None` before its first start.
pub(crate) fn short_id(data: &Path) -> Option<String> {
    let id = fs::read_to_string(data.join("id")).ok()?.trim().to_owned();
    // It becomes part of names that are removed, so it must be one of ours.
    let ours = id.len() == 6 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    ours.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_with_a_password_is_told_from_one_that_fails() {
        let answer = |code: i64| serde_json::json!({ "error": { "code": code, "message": "" } });
        assert!(refused_as_duplicate(&answer(DUPLICATE).to_string()));
        assert!(!refused_as_duplicate(&answer(1).to_string()));
        assert!(!refused_as_duplicate("coppice: no server runs"));
    }

    #[test]
    fn only_an_id_of_our_own_making_names_what_is_removed() {
        let data = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("ab2c7z\n", Some("ab2c7z")),
            ("../../", None),
            ("abcdefg", None),
            ("", None),
        ] {
            fs::write(data.path().join("id"), text).unwrap();
            assert_eq!(short_id(data.path()).as_deref(), expected);
        }
    }
}
