//! `start-container`: the command line packages call.
//!
//! Invariant: works with an empty environment, from any directory; the subcontainer commands touch
//! neither host nor clock, so that a slow host never slows a launch.

use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use coppice_wire::paths::HOST_SOCKET;

mod agent_report;
mod arguments;
mod bind_mount;
mod command;
mod effects;
mod environment;
mod exec;
mod host;
mod launch;
mod leader;
mod pipe_wrap;
mod pty;
mod relay;
mod users;

const HELP: &str = "\
start-container [--socket <path>] <command>

  subcontainer launch [options] <root> [command…]   pid 1 of a subcontainer
  subcontainer exec [options] <root> <command…>     a command in a running one
  subcontainer create-fs <image> [<name>]           a new root; prints its path
  subcontainer destroy-fs <guid>
  bind-mount --source <path> --target <path> [--recursive] [--readonly] [--file] [--idmap from:to[:range]]…
  pipe-wrap <command…>                              run with pipes as outputs

  options: -e K=V  --env-file <path>  -w <dir>  -u <user>[:<group>]

  get-status [package]            set-main-status <running|stopped>
  restart | shutdown | rebuild    get-os-ip
  get-data-version                set-data-version [version]
  get-dependencies                set-dependencies <id[:exists|:running[:check+check]]…>
  check-dependencies [id…]
  action clear [--except <id>]… | get-input <id> | run <id> [<json>] | clear-tasks <id…>
  echo <text>                     git-info
";

/// Why a command failed, and with which exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: i32,
    text: String,
}

impl Failure {
    /// Wrong arguments: status 2, as shells have it.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            status: 2,
            text: text.into(),
        }
    }

    /// Anything else that could not be done.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            status: 1,
            text: text.into(),
        }
    }

    pub(crate) fn with_status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Says what was being done when an error came, and on what.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("could not {}: {error}", what())))
    }
}

/// Runs the command `args` (program name taken off); returns the exit status.
pub(crate) fn run(args: Vec<OsString>) -> i32 {
    match dispatch(args) {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("start-container: {failure}");
            failure.status
        }
    }
}

fn dispatch(args: Vec<OsString>) -> Result<i32, Failure> {
    let (socket, args) = take_socket(args)?;
    let mut args = args.into_iter();
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    match command.as_bytes() {
        b"subcontainer" => subcontainer(&socket, rest),
        b"bind-mount" => bind_mount::run(&socket, rest),
        b"pipe-wrap" => pipe_wrap::run(rest),
        b"" | b"help" | b"--help" | b"-h" => {
            print!("{HELP}");
            Ok(0)
        }
        b"--version" | b"-V" => {
            println!("start-container {}", env!("CARGO_PKG_VERSION"));
            Ok(0)
        }
        name => effects::run(&socket, &String::from_utf8_lossy(name), &texts(rest)?),
    }
}

fn subcontainer(socket: &Path, mut args: Vec<OsString>) -> Result<i32, Failure> {
    if args.is_empty() {
        return Err(Failure::usage(
            "subcontainer what? (launch, exec, create-fs, destroy-fs)",
        ));
    }
    let command = args.remove(0);
    match command.as_bytes() {
        b"launch" => launch::launch(&arguments::parse(args)?),
        b"launch-init" => launch::launch_init(&arguments::parse(args)?),
        b"exec" => exec::exec(&arguments::parse(args)?),
        b"exec-command" => exec::exec_command(&arguments::parse(args)?),
        b"create-fs" => effects::run(socket, "subcontainer create-fs", &texts(args)?),
        b"destroy-fs" => effects::run(socket, "subcontainer destroy-fs", &texts(args)?),
        _ => Err(Failure::usage(format!(
            "there is no command `subcontainer {}`",
            command.display()
        ))),
    }
}

/// `--socket <path>` comes before the command.
fn take_socket(mut args: Vec<OsString>) -> Result<(PathBuf, Vec<OsString>), Failure> {
    let mut socket = PathBuf::from(HOST_SOCKET);
    while let Some(first) = args.first() {
        if let Some(path) = first.as_bytes().strip_prefix(b"--socket=") {
            socket = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            args.remove(0);
        } else if first.as_bytes() == b"--socket" {
            args.remove(0);
            if args.is_empty() {
                return Err(Failure::usage("--socket needs a path"));
            }
            socket = PathBuf::from(args.remove(0));
        } else {
            break;
        }
    }
    Ok((socket, args))
}

fn texts(args: Vec<OsString>) -> Result<Vec<String>, Failure> {
    args.into_iter()
        .map(|arg| {
            arg.into_string()
                .map_err(|arg| Failure::usage(format!("`{}` is not UTF-8", arg.display())))
        })
        .collect()
}
