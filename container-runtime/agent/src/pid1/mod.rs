//! Pid 1 of a service's container.
//!
//! Invariant: nothing that comes in over a socket or a pipe, and no failure of the disk or the
//! host, ends this process; only `shutdown`, SIGTERM or the host's SIGKILL do. When it ends, the
//! kernel ends everything in the container.
//!
//! | module | idea |
//! | --- | --- |
//! | [`agent`] | the loop: what is ready, what is due |
//! | [`serve`] | requests of the host |
//! | [`report`] | reports of `start-container` |
//! | [`ending`] | shutting down, step by step |
//! | [`link`] | the connection to the host |
//! | [`journal`] | reports the host has not acknowledged |
//! | [`processes`] | who is alive |
//! | [`cgroups`] | leaves |
//! | [`spawn`] | starting one process |
//! | [`standby`] | children for the next start of a daemon |
//! | [`logs`], [`lines`] | output into segments |
//! | [`clients`] | connections of `start-container` |
//! | [`mounts`] | what a container needs mounted |

mod agent;
mod cgroups;
mod clients;
mod ending;
mod journal;
mod lines;
mod link;
mod mounts;
mod processes;
mod report;
mod serve;
mod spawn;
mod standby;

/// Lives as pid 1; returns the exit status.
pub(crate) fn run() -> i32 {
    if std::process::id() != 1 {
        eprintln!(
            "coppice-agent is pid 1 of a service's container and nothing else; \
             `start-container` is the name for the command line"
        );
        return 2;
    }
    match agent::Agent::set_up() {
        Ok(mut agent) => agent.live(),
        Err(error) => {
            eprintln!("coppice-agent: {error}");
            1
        }
    }
}
