//! The command line: nouns and verbs, for people by default and for programs with `--json`.
//!
//! Every verb is a few JSON-RPC calls to a running server: over the root-only socket of this machine, or over HTTPS to
//! another one. The exceptions read or write files themselves: `s9pk`, and `db` where no server runs.
//!
//! Invariant: what a verb prints with `--json` is what the method that it calls answers; [`exit::CODES`] are the only
//! exit codes.

pub mod exit;
pub mod paint;

mod access;
mod actions;
mod author;
mod call;
mod client;
mod db;
mod find;
mod install;
mod login;
mod logs;
mod mail;
mod metrics;
mod notifications;
mod packages;
mod progress;
mod remote;
mod s9pk;
mod server;
mod services;
mod sessions;
mod show;
mod top;
mod tree;
mod upgrade;
mod usage;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use coppice_actors::Kind;
use nix::sys::signal::{SigHandler, Signal, signal};

pub use client::{CallError, NoAnswer};
pub use db::examiner;
pub use find::NotFound;

use remote::Address;

/// Where automation has its token.
pub const TOKEN: &str = "COPPICE_TOKEN";
/// What a server answers to somebody who has to sign in.
const NOT_SIGNED_IN: i64 = Kind::Authorization.code() as i64;

/// Options of every verb.
#[derive(Clone, Debug, Default, Args)]
pub struct Common {
    /// The server's data folder; needed only when more than one runs on this machine.
    #[arg(long, global = true, env = "COPPICE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// A server on another machine, as https://NAME[:PORT]; see `coppice login`.
    #[arg(long, global = true, env = "COPPICE_HOST", value_name = "URL")]
    host: Option<Address>,
    /// Where to connect to, when the name in --host cannot be looked up: ADDRESS[:PORT].
    #[arg(long, global = true, env = "COPPICE_ADDRESS", value_name = "ADDRESS")]
    address: Option<String>,
    /// The root certificate of the server at --host, as PEM; a login remembers it.
    #[arg(long, global = true, env = "COPPICE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only what was asked for, and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What may be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Services: how they are, and what they should do.
    #[command(subcommand)]
    Service(services::Service),
    /// Packages: bring and remove them.
    #[command(subcommand)]
    Package(packages::Package),
    /// Actions that packages offer.
    #[command(subcommand)]
    Action(actions::Action),
    /// Tasks that packages ask for.
    #[command(subcommand)]
    Task(actions::Task),
    /// The services and what they use, busiest first.
    Top(top::Top),
    /// Why a service is as it is, and why its parts were restarted.
    Why(services::Why),
    /// The live tree of actors.
    Tree(watch::Watch),
    /// The state store.
    #[command(subcommand)]
    Db(db::Db),
    /// Passwords, sessions, tokens, keys, and two-step login.
    #[command(subcommand)]
    Auth(server::Auth),
    /// Begin a session on another machine, the one at --host.
    Login,
    /// End that session.
    Logout,
    /// About the server, and where to reach it.
    #[command(subcommand)]
    Server(server::Server),
    /// What packages and the server tell people.
    #[command(subcommand)]
    Notification(notifications::Notification),
    /// Package files: pack, look into, verify.
    #[command(subcommand)]
    S9pk(s9pk::S9pk),
    /// Call any method of the API; without one, list them.
    Call(call::Call),
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
                eprintln!("coppice: {}", show::error(common, &error));
            }
            ExitCode::from(exit::code(&error))
        }
    }
}

async fn dispatch(common: &Common, command: Command) -> anyhow::Result<()> {
    match command {
        Command::S9pk(verb) => s9pk::run(common, verb).await,
        Command::Service(verb) => services::service(common, verb).await,
        Command::Package(verb) => packages::package(common, verb).await,
        Command::Action(verb) => actions::action(common, verb).await,
        Command::Task(verb) => actions::task(common, verb).await,
        Command::Top(top) => top::run(common, &top).await,
        Command::Why(asked) => services::why(common, &client::Client::of(common)?, asked).await,
        Command::Tree(watch) => tree::tree(common, watch).await,
        Command::Db(verb) => db::db(common, verb).await,
        Command::Auth(verb) => server::auth(common, verb).await,
        Command::Login => login::login(common).await,
        Command::Logout => login::logout(common).await,
        Command::Server(verb) => server::server(common, verb).await,
        Command::Notification(verb) => notifications::notification(common, verb).await,
        Command::Call(call) => call::run(common, call).await,
        Command::Upgrade { program } => upgrade::run(common, program).await,
        Command::Stop { keep_services } => server::stop(common, keep_services).await,
    }
}
