//! `pipe-wrap`: a command whose outputs are pipes, whatever ours are.
//!
//! Programs that open `/dev/stderr` fail when it is a socket, as it is under some supervisors.

use std::ffi::{CString, OsString};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::ffi::OsStrExt,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, dup2_stderr, dup2_stdout, execvp, fork, pipe2},
};

use super::{Doing, Failure, relay};

/// Runs `words` behind two pipes that copies of this process empty.
pub(super) fn run(words: Vec<OsString>) -> Result<i32, Failure> {
    let argv: Vec<CString> = words
        .iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|_| Failure::usage("an argument holds a zero byte"))?;
    let Some(program) = argv.first() else {
        return Err(Failure::usage("pipe-wrap which command?"));
    };
    let (out, out_copier) = copier(File::from(duplicate(std::io::stdout().as_fd())?))?;
    let (err, err_copier) = copier(File::from(duplicate(std::io::stderr().as_fd())?))?;
    let status = relay::run(None, None, |lifeline| {
        let error = lifeline
            .tie()
            .and_then(|()| lifeline.restore_signals())
            .and_then(|()| dup2_stdout(&out))
            .and_then(|()| dup2_stderr(&err))
            .and_then(|()| execvp(program, &argv))
            .err()
            .unwrap_or(Errno::UnknownErrno);
        eprintln!(
            "start-container: could not run {}: {error}",
            program.to_string_lossy()
        );
        127
    })?;
    // Until everything it wrote has been passed on.
    drop((out, err));
    for copier in [err_copier, out_copier] {
        while waitpid(copier, None) == Err(Errno::EINTR) {}
    }
    Ok(relay::exit_status(status))
}

/// A child that copies a pipe to `to` until everyone has closed it; returns the end to write to, and it.
fn copier(mut to: File) -> Result<(OwnedFd, Pid), Failure> {
    let (from, into) = pipe2(OFlag::O_CLOEXEC).doing(|| "make a pipe".into())?;
    // SAFETY: this process has one thread, so the child may use everything it has copied.
    match unsafe { fork() }.doing(|| "fork".into())? {
        ForkResult::Parent { child } => Ok((into, child)),
        ForkResult::Child => {
            drop(into);
            let mut from = File::from(from);
            let mut bytes = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            // SAFETY: ends the child at once; nothing of the parent's must be flushed in it.
            unsafe { libc::_exit(0) }
        }
    }
}

fn duplicate(fd: std::os::fd::BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    fd.try_clone_to_owned()
        .doing(|| "duplicate an output".into())
}
