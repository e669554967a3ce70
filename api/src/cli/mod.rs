//! The command line: nouns and verbs, for people by default and for programs with `--json`.
//!
//! Every verb is one JSON-RPC call over the root-only socket of a running server. The exceptions
//! read or write files themselves: `s9pk`, and `db` where no server runs.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong, 3 no server runs.

mod author;
mod client;
mod db;
mod find;
mod packages;
mod s9pk;
mod server;
mod show;
mod upgrade;
mod usage;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use nix::sys::signal::{SigHandler, Signal, signal};

pub use client::CallError;
pub use db::examiner;
pub use find::NotFound;

/// Options of every verb.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The server's data folder; needed only when more than one runs.
    #[arg(long, global = true, env = "COPPICE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What may be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Services: how they are, and what they should do.
    #[command(subcommand)]
    Service(packages::Service),
    /// Packages: bring and remove them.
    #[command(subcommand)]
    Package(packages::Package),
    /// Actions that packages offer.
    #[command(subcommand)]
    Action(packages::Action),
    /// Tasks that packages ask for.
    #[command(subcommand)]
    Task(packages::Task),
    /// The live tree of actors.
    Tree,
    /// The state store.
    #[command(subcommand)]
    Db(db::Db),
    /// Passwords and sessions.
    #[command(subcommand)]
    Auth(server::Auth),
    /// About the server, and where to reach it.
    #[command(subcommand)]
    Server(server::Server),
    /// Package files: pack, look into, verify.
    #[command(subcommand)]
    S9pk(s9pk::S9pk),
    /// Change to another program, without a break for the services; back to this one if it does not work.
    Upgrade {
        /// The program; without it, the one that this command is of.
        #[arg(value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// End Coppice and take the services down.
    Stop {
        /// Leave the services running.
        #[arg(long)]
        keep_services: bool,
    },
}

/// Runs a verb.
#[must_use]
pub fn run(common: &Common, command: Command) -> ExitCode {
    // A reader that has seen enough (`| head`) ends us quietly, as it ends every other program.
    // SAFETY: no other thread exists yet, and the default action runs none of our code.
    if unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.is_err() {
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("coppice: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(common, command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if common.json {
                println!("{}", show::error_json(&error));
            } else {
                eprintln!("coppice: {}", show::error(&error));
            }
            match error.downcast_ref::<NotFound>() {
                Some(_) => ExitCode::from(3),
                None => ExitCode::FAILURE,
            }
        }
    }
}

async fn dispatch(common: &Common, command: Command) -> anyhow::Result<()> {
    match command {
        Command::S9pk(verb) => s9pk::run(common, verb),
        Command::Service(verb) => packages::service(common, verb).await,
        Command::Package(verb) => packages::package(common, verb).await,
        Command::Action(verb) => packages::action(common, verb).await,
        Command::Task(verb) => packages::task(common, verb).await,
        Command::Tree => server::tree(common).await,
        Command::Db(verb) => db::db(common, verb).await,
        Command::Auth(verb) => server::auth(common, verb).await,
        Command::Server(verb) => server::server(common, verb).await,
        Command::Upgrade { program } => upgrade::run(common, program).await,
        Command::Stop { keep_services } => server::stop(common, keep_services).await,
    }
}
