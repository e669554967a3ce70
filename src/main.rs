//! The `coppice` program: one binary, three processes, and the command line.

mod core;
mod doctor;
mod edge;
mod embedded;
mod heart;
mod heart_gone;
mod manual;
mod ports;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "coppice",
    version,
    about = "A home server whose services grow back.",
    after_long_help = manual::more()
)]
struct Arguments {
    #[command(flatten)]
    common: coppice_api::cli::Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server: holds its sockets, starts core and edge, and starts them again.
    Heart(heart::Options),
    /// The part that decides. Started by the heart.
    #[command(hide = true)]
    Core(core::Options),
    /// The part that faces the network. Started by the heart.
    #[command(hide = true)]
    Edge,
    /// Look a store's file over, which may end this process. Started by whoever is to open it.
    #[command(hide = true)]
    Examine { file: std::path::PathBuf },
    /// Try what Coppice needs of this machine, and say what is missing.
    Doctor(doctor::Options),
    /// Print what makes a shell complete this program's words.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Ask(coppice_api::cli::Command),
}

fn main() -> ExitCode {
    // Core and edge are run from a descriptor of their program, and would be called by its number in lists of processes.
    // What has no name works as well.
    let _ = nix::sys::prctl::set_name(c"coppice");
    let Arguments { common, verb } = Arguments::parse();
    match verb {
        Verb::Heart(options) => heart::run(&common, options),
        Verb::Core(options) => core::run(&common, options),
        Verb::Edge => edge::run(),
        Verb::Examine { file } => patchdb::examine_for_parent(&file),
        Verb::Doctor(options) => doctor::run(&common, &options),
        Verb::Completions { shell } => {
            let mut words = manual::seen();
            clap_complete::generate(shell, &mut words, "coppice", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Verb::Ask(command) => coppice_api::cli::run(&common, command),
    }
}
