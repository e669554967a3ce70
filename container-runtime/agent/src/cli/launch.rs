//! `subcontainer launch`: pid 1 of a subcontainer.

use coppice_wire::agent::ProcessKind;
use nix::sched::{CloneFlags, unshare};

use super::{
    Doing, Failure,
    agent_report::AgentReport,
    arguments::Subcontainer,
    command::become_command,
    environment::Environment,
    leader,
    pty::Terminal,
    relay::{self, Lifeline},
};

/// Makes the namespaces and stands by while their pid 1 lives.
pub(super) fn launch(options: &Subcontainer) -> Result<i32, Failure> {
    leader::end_earlier(&options.root)?;
    let environment = Environment::collect(options)?;
    let report = AgentReport::begin(ProcessKind::Leader, &options.root, &options.command);
    // After the report: the agent has moved us, so our leaf becomes the namespace's root.
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWIPC)
        .doing(|| "make namespaces".into())?;
    let terminal = match options.command.is_empty() {
        true => None,
        false => Terminal::when_wanted(options)?,
    };
    let status = relay::run(Some(report), terminal, |lifeline| {
        init(options, environment, Some(lifeline))
    })?;
    leader::unmount_dead_proc(&options.root);
    Ok(relay::exit_status(status))
}

/// `launch-init`: the same, for a caller that made the namespaces itself.
pub(super) fn launch_init(options: &Subcontainer) -> Result<i32, Failure> {
    let environment = Environment::collect(options)?;
    Ok(init(options, environment, None))
}

fn init(options: &Subcontainer, environment: Environment, lifeline: Option<&Lifeline>) -> i32 {
    let failure = match leader::mount_proc(&options.root) {
        Err(failure) => failure,
        Ok(()) if options.command.is_empty() => return leader::live(),
        Ok(()) => become_command(options, environment, lifeline),
    };
    eprintln!("start-container: {failure}");
    failure.status
}
