//! A terminal of the command's own, for people who attach.
//!
//! Only when stdin and stdout are terminals, or when asked: packages depend on the command holding
//! the very pipes its caller gave.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{Winsize, openpty},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
        wait::WaitStatus,
    },
    unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid},
};

use super::{Doing, Failure, arguments::Subcontainer, relay::is_terminal};

const CHUNK: usize = 1024;

pub(super) struct Terminal {
    main: File,
    sub: Option<OwnedFd>,
    with_stderr: bool,
    /// How our own terminal was, to leave it that way.
    before: Option<Termios>,
}

impl Terminal {
    /// A terminal when the options or our own stdio ask for one.
    pub(super) fn when_wanted(options: &Subcontainer) -> Result<Option<Self>, Failure> {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let ours = is_terminal(stdin.as_fd()) && is_terminal(stdout.as_fd());
        if !ours && !options.force_tty {
            return Ok(None);
        }
        let given = options.pty_size.map(|size| Winsize {
            ws_row: size.rows,
            ws_col: size.cols,
            ws_xpixel: size.xpixel,
            ws_ypixel: size.ypixel,
        });
        let size = given.or_else(|| window_size(&stdin));
        let pty = openpty(size.as_ref(), None).doing(|| "make a terminal".into())?;
        for fd in [&pty.master, &pty.slave] {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .doing(|| "set up a terminal".into())?;
        }
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            cfmakeraw(&mut raw);
            // A terminal that cannot be raw still works, with its own echo.
            let _ = tcsetattr(&stdin, SetArg::TCSANOW, &raw);
        }
        Ok(Some(Self {
            main: File::from(pty.master),
            sub: Some(pty.slave),
            with_stderr: options.force_stderr_tty || is_terminal(stderr.as_fd()),
            before,
        }))
    }

    /// In the child: takes the terminal as its own, and as its stdio.
    pub(super) fn become_controlling(&self) -> Result<(), Errno> {
        let Some(sub) = &self.sub else { return Ok(()) };
        let _ = setsid();
        // SAFETY: takes a descriptor we own and the number 0.
        Errno::result(unsafe { libc::ioctl(sub.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        dup2_stdin(sub)?;
        dup2_stdout(sub)?;
        if self.with_stderr {
            dup2_stderr(sub)?;
        }
        Ok(())
    }

    /// In the parent: carries bytes both ways until the child ends and its output is through.
    pub(super) fn relay(
        &mut self,
        child: Pid,
        watched: &SigSet,
        mut pass: impl FnMut(Signal) -> Option<WaitStatus>,
    ) -> Result<WaitStatus, Failure> {
        self.sub = None;
        let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .doing(|| "watch signals".into())?;
        let (stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
        let mut ended = None;
        let mut input_open = true;
        loop {
            let (from_us, from_child, signalled) = {
                let mut polled = vec![
                    PollFd::new(signals.as_fd(), PollFlags::POLLIN),
                    PollFd::new(self.main.as_fd(), PollFlags::POLLIN),
                ];
                if input_open {
                    polled.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
                }
                // Once it has ended, only what is already in the terminal is still wanted.
                let patience = if ended.is_some() {
                    PollTimeout::ZERO
                } else {
                    PollTimeout::NONE
                };
                match poll(&mut polled, patience) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(Failure::new(format!("could not poll: {error}"))),
                }
                let ready = |at: usize| polled.get(at).is_some_and(|poll| poll.any() == Some(true));
                (ready(2), ready(1), ready(0))
            };
            let mut bytes = [0; CHUNK];
            if from_child {
                match self.main.read(&mut bytes) {
                    Ok(count) if count > 0 => {
                        let _ = stdout
                            .write_all(&bytes[..count])
                            .and_then(|()| stdout.flush());
                        continue;
                    }
                    // EIO: nobody holds the other end any more.
                    _ => {
                        if let Some(status) = ended {
                            return Ok(status);
                        }
                        let status = nix::sys::wait::waitpid(child, None)
                            .doing(|| "wait for the command".into())?;
                        return Ok(status);
                    }
                }
            }
            if let Some(status) = ended {
                return Ok(status);
            }
            if from_us {
                match nix::unistd::read(stdin.as_fd(), &mut bytes) {
                    Ok(count) if count > 0 => {
                        let _ = self.main.write_all(&bytes[..count]);
                    }
                    _ => input_open = false,
                }
            }
            if signalled {
                while let Ok(Some(info)) = signals.read_signal() {
                    match Signal::try_from(info.ssi_signo.cast_signed()) {
                        Ok(Signal::SIGWINCH) => self.resize(),
                        Ok(signal) => ended = pass(signal).or(ended),
                        Err(_) => {}
                    }
                }
            }
        }
    }

    fn resize(&self) {
        if let Some(size) = window_size(&std::io::stdin()) {
            // SAFETY: the struct outlives the call, and the descriptor is ours.
            unsafe { libc::ioctl(self.main.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

fn window_size(terminal: &impl AsRawFd) -> Option<Winsize> {
    let mut size = Winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the kernel fills the struct, which outlives the call.
    let got = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (got == 0).then_some(size)
}
