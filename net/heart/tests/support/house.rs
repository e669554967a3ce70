//! A place for hearts with puppets as children, and what their tests ask of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests do, and no file of tests needs all of them"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU8, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use coppice_clock::Mono;
use coppice_heart::Layout;
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// More than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A place for one or more hearts.
pub(crate) struct House {
    pub(crate) dir: TempDir,
}

/// A running heart; killed with its children when dropped.
pub(crate) struct Heart {
    pub(crate) process: Child,
    /// What it and its children say.
    lines: Receiver<String>,
    layout: Option<Layout>,
    data: PathBuf,
    run_root: PathBuf,
}

impl House {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn run_root(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub(crate) fn command(&self, data: &Path, wait_ms: u32, core: &str) -> Command {
        self.command_of(
            Path::new(env!("CARGO_BIN_EXE_heart-puppet")),
            data,
            wait_ms,
            core,
        )
    }

    fn command_of(&self, program: &Path, data: &Path, wait_ms: u32, core: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("heart")
            .arg(data)
            .arg(self.run_root())
            .args([&wait_ms.to_string(), core]);
        command
    }

    pub(crate) fn start_as(&self, core: &str) -> Heart {
        let program = Path::new(env!("CARGO_BIN_EXE_heart-puppet"));
        self.start_program(program, core, &[])
    }

    pub(crate) fn start_with(&self, environment: &[(&str, &str)]) -> Heart {
        let program = Path::new(env!("CARGO_BIN_EXE_heart-puppet"));
        self.start_program(program, "ok", environment)
    }

    pub(crate) fn start_program(
        &self,
        program: &Path,
        core: &str,
        environment: &[(&str, &str)],
    ) -> Heart {
        let mut process = self
            .command_of(program, &self.data(), 10_000, core)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in out.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Heart {
            process,
            lines,
            layout: None,
            data: self.data(),
            run_root: self.run_root(),
        }
    }

    /// A heart whose core is up.
    pub(crate) fn start(&self) -> Heart {
        let mut heart = self.start_as("ok");
        heart.line("core ");
        heart
    }

    /// What a heart on `data` says when it does not start.
    pub(crate) fn refusal(&self, data: &Path) -> String {
        let output = self.command(data, 200, "ok").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Heart {
    /// Waits for a line that begins so, and gives its words.
    pub(crate) fn line(&mut self, start: &str) -> Vec<String> {
        let give_up = Mono::now() + PATIENCE;
        loop {
            let line = self
                .lines
                .recv_timeout(give_up.since(Mono::now()))
                .unwrap_or_else(|_| panic!("no line `{start}`"));
            if line.starts_with(start) {
                return line.split(' ').map(str::to_owned).collect();
            }
        }
    }

    pub(crate) fn layout(&mut self) -> &Layout {
        let (data, run_root) = (&self.data, &self.run_root);
        self.layout
            .get_or_insert_with(|| Layout::read(data, run_root).unwrap())
    }

    /// Asks the core.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.layout().api_socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    pub(crate) fn core_pid(&mut self) -> i32 {
        self.ask("pid").parse().unwrap()
    }

    /// Publishes, waits until the edge has it, and gives the edge's pid.
    pub(crate) fn publish(&mut self, generation: u64, listeners: &[String]) -> i32 {
        let failed = self.ask(&format!("publish {generation} {}", listeners.join(" ")));
        assert_eq!(failed, "");
        self.edge_with(generation)
    }

    pub(crate) fn edge_with(&mut self, generation: u64) -> i32 {
        loop {
            let words = self.line("edge ");
            if words[2] == generation.to_string() {
                return words[1].parse().unwrap();
            }
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits until heart, core and edge have all closed their outputs: they have ended.
    pub(crate) fn all_end_within(&self, patience: Duration) {
        let give_up = Mono::now() + patience;
        loop {
            match self.lines.recv_timeout(give_up.since(Mono::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("not ended after {patience:?}"),
            }
        }
    }

    pub(crate) fn ended(mut self) -> ExitStatus {
        self.all_end_within(PATIENCE);
        self.process.wait().unwrap()
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        // Already ended in most tests. Its children follow by themselves.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kills, and waits until every thread is gone: one that is on its way out may still accept.
pub(crate) fn murder(pid: i32) {
    // SAFETY: two plain numbers in, a new descriptor or -1 out.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(number >= 0, "no process {pid}");
    // SAFETY: the kernel has just made it for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(number).unwrap()) };
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let patience = PollTimeout::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut ended, patience).unwrap(), 1);
}

/// A loopback address of one test's own: no other test, here or in another process, takes a port
/// of it between being found free and being used.
pub(crate) fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let n = NEXT.fetch_add(1, Ordering::SeqCst);
    IpAddr::from([127, high | 0x80, low, n])
}

pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    listener.local_addr().unwrap()
}

pub(crate) fn tcp(id: &str, addr: SocketAddr) -> String {
    format!("{id},tcp,{addr}")
}

pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The pid and the generation of the edge that serves this connection.
pub(crate) fn served_by(mut stream: TcpStream) -> (i32, u64) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let mut words = answer.split(' ');
    (
        words.next().unwrap().parse().unwrap(),
        words.next().unwrap().parse().unwrap(),
    )
}
