//! `subcontainer exec`: a command in a running subcontainer.

use std::fs::File;

use coppice_wire::agent::ProcessKind;
use nix::sched::{CloneFlags, setns};

use super::{
    Doing, Failure, agent_report::AgentReport, arguments::Subcontainer, command::become_command,
    environment::Environment, pty::Terminal, relay,
};

/// Joins the leader's namespaces and stands by while the command lives.
pub(super) fn exec(options: &Subcontainer) -> Result<i32, Failure> {
    if options.command.is_empty() {
        return Err(Failure::usage("the command is missing"));
    }
    let environment = Environment::collect(options)?;
    // All of them are opened before any is entered: our own /proc stays the one we look through.
    let open = |name: &str| {
        let path = options.root.join("proc/1/ns").join(name);
        File::open(path).map_err(|error| {
            let root = options.root.display();
            Failure::new(format!("{root} is not running ({error}); launch it first"))
        })
    };
    let namespaces = [
        (open("pid")?, CloneFlags::CLONE_NEWPID),
        (open("cgroup")?, CloneFlags::CLONE_NEWCGROUP),
        (open("ipc")?, CloneFlags::CLONE_NEWIPC),
    ];
    let report = AgentReport::begin(ProcessKind::Exec, &options.root, &options.command);
    for (file, kind) in namespaces {
        setns(file, kind).doing(|| format!("join {kind:?} of {}", options.root.display()))?;
    }
    let terminal = Terminal::when_wanted(options)?;
    let status = relay::run(Some(report), terminal, |lifeline| {
        let failure = become_command(options, environment, Some(lifeline));
        eprintln!("start-container: {failure}");
        failure.status
    })?;
    Ok(relay::exit_status(status))
}

/// `exec-command`: the same, for a caller that joined the namespaces itself.
pub(super) fn exec_command(options: &Subcontainer) -> Result<i32, Failure> {
    let environment = Environment::collect(options)?;
    Err(become_command(options, environment, None))
}
