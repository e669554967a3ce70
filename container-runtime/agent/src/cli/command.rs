//! Becomes the command: the last steps, in this process.
//!
//! Invariant: the root is entered by `pivot_root`, never by `chroot`: a chrooted process may not make
//! user namespaces, which nested container engines need. The container's own mounts are slaves
//! here: later mounts arrive, nothing leaks back.

use std::{
    ffi::CString,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::prctl::set_dumpable,
    unistd::{Gid, Uid, chdir, execve, fchown, pivot_root, setgid, setgroups, setsid, setuid},
};

use super::{
    Doing, Failure,
    arguments::Subcontainer,
    environment::Environment,
    relay::{self, Lifeline},
    users::{self, Identity},
};

/// Shells say 127 for a command that is not there and 126 for one that cannot run.
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;

/// Becomes the command of `options`; returns only the failure. `lifeline` is `None` when this
/// process itself was started by someone else.
pub(super) fn become_command(
    options: &Subcontainer,
    mut environment: Environment,
    lifeline: Option<&Lifeline>,
) -> Failure {
    let mut ready = || -> Result<(), Failure> {
        enter_root(&options.root)?;
        let identity = users::look_up(options.user.as_deref())?;
        if let Some(home) = &identity.home {
            environment.set_home(home.as_bytes());
        }
        let workdir = options.workdir.as_deref().unwrap_or(Path::new("/"));
        chdir(workdir).doing(|| format!("enter {} in the subcontainer", workdir.display()))?;
        drop_to(&identity)?;
        match lifeline {
            Some(lifeline) => lifeline
                .tie()
                .and_then(|()| lifeline.restore_signals())
                .doing(|| "stay with the parent".into()),
            None => relay::restore_sigpipe().doing(|| "reset SIGPIPE".into()),
        }
    };
    if let Err(failure) = ready() {
        return failure;
    }
    execute(options, &environment)
}

fn enter_root(root: &Path) -> Result<(), Failure> {
    let named = |what: &str| format!("{what} {}", root.display());
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).doing(|| "make a mount namespace".into())?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .doing(|| "separate the mounts".into())?;
    mount(
        Some(root),
        root,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .doing(|| named("bind the root"))?;
    // Both names of the same directory: the old root ends on top of the new one, from where it is
    // detached, so that nothing has to be written into an image that may be read-only.
    chdir(root).doing(|| named("enter"))?;
    pivot_root(".", ".").doing(|| named("make the root"))?;
    umount2(".", MntFlags::MNT_DETACH).doing(|| "leave the old root".into())?;
    chdir("/").doing(|| "enter the new root".into())
}

fn drop_to(identity: &Identity) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    if identity.uid != 0 {
        // So that the command can open /dev/stderr anew. Best effort: not everything has an owner
        // that may be changed.
        let _ = fchown(std::io::stdin().as_fd(), Some(uid), Some(gid));
        let _ = fchown(std::io::stdout().as_fd(), Some(uid), Some(gid));
        let _ = fchown(std::io::stderr().as_fd(), Some(uid), Some(gid));
    }
    // Already a leader when it has a terminal.
    let _ = setsid();
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).doing(|| "set the groups".into())?;
    setgid(gid).doing(|| format!("become group {gid}"))?;
    setuid(uid).doing(|| format!("become user {uid}"))?;
    // Changing ids made our /proc files root's: a non-root command could not use /dev/stderr.
    set_dumpable(true).doing(|| "stay inspectable".into())
}

fn execute(options: &Subcontainer, environment: &Environment) -> Failure {
    let shown = options
        .command
        .first()
        .map(|name| name.display().to_string())
        .unwrap_or_default();
    let argv: Result<Vec<CString>, _> = options
        .command
        .iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect();
    let Ok(argv) = argv else {
        return Failure::usage("an argument holds a zero byte");
    };
    let Some(name) = argv.first() else {
        return Failure::usage("the command is missing");
    };
    let env = environment.to_c();
    let mut worst = Errno::ENOENT;
    for program in candidates(name, environment) {
        let error = match execve(&program, &argv, &env) {
            Ok(never) => match never {},
            Err(Errno::ENOEXEC) => run_script(&program, &argv, &env),
            Err(error) => error,
        };
        match error {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => worst = error,
            _ => {
                worst = error;
                break;
            }
        }
    }
    let status = if worst == Errno::ENOENT {
        NOT_FOUND
    } else {
        NOT_RUNNABLE
    };
    Failure::new(format!(
        "could not run `{shown}` in the subcontainer: {worst}"
    ))
    .with_status(status)
}

/// A file without a `#!` line is a shell script, as the C library has it.
fn run_script(program: &CString, argv: &[CString], env: &[CString]) -> Errno {
    let mut words = vec![c"/bin/sh".to_owned(), program.clone()];
    words.extend(argv.iter().skip(1).cloned());
    match execve(c"/bin/sh", &words, env) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn candidates(name: &CString, environment: &Environment) -> Vec<CString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.clone()];
    }
    let path = environment.path();
    path.as_bytes()
        .split(|byte| *byte == b':')
        .map(|dir| if dir.is_empty() { &b"."[..] } else { dir })
        .filter_map(|dir| CString::new([dir, b"/", name.as_bytes()].concat()).ok())
        .collect()
}
