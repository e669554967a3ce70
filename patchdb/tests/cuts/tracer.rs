//! A process run system call by system call, with its folder looked at after each that writes.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// The files of the folder at one moment: by name which file, by file what is in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) names: BTreeMap<String, u64>,
    pub(crate) files: BTreeMap<u64, Arc<Vec<u8>>>,
}

/// What a call did, as far as a power cut minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Something was written that may still be in memory only.
    Written,
    /// Something was written, and this file is on the disk.
    WrittenThrough(u64),
    /// This file is on the disk.
    Synced(u64),
    /// The names in the folder are on the disk.
    NamesSynced,
}

/// One call, and how things are after it.
pub(crate) struct Event {
    pub(crate) done: Done,
    pub(crate) image: Image,
    /// How much the process had promised by then.
    pub(crate) promised: usize,
}

/// Files that say nothing of the document.
const IGNORED: [&str; 2] = ["lock.mdb", "owner"];

/// Runs `command` to its end, which must be a good one. `promised` is looked at after each call.
pub(crate) fn record(
    mut command: Command,
    folder: &Path,
    mut promised: impl FnMut() -> usize,
) -> Vec<Event> {
    // SAFETY: between fork and exec only one system call is made.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    #[expect(
        clippy::zombie_processes,
        reason = "its end is waited for below, as its tracer"
    )]
    let child = command.spawn().unwrap();
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap());
    waitpid(main, None).unwrap();
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(main, options).unwrap();
    ptrace::syscall(main, None).unwrap();

    let mut events = Vec::new();
    let mut entered: HashMap<Pid, [u64; 3]> = HashMap::new();
    loop {
        // This program has no other children: its only other test starts none.
        let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => status,
            Err(Errno::ECHILD) => panic!("the process is gone and its end was not seen"),
            Err(error) => panic!("{error}"),
        };
        let (thread, signal) = match status {
            WaitStatus::Exited(pid, code) if pid == main => {
                assert_eq!(code, 0, "the recorded process failed");
                return events;
            }
            WaitStatus::Signaled(pid, signal, _) if pid == main => panic!("ended by {signal}"),
            WaitStatus::PtraceSyscall(pid) => {
                let info = ptrace::syscall_info(pid).unwrap();
                if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    // SAFETY: `op` says that this is what the union holds.
                    let entry = unsafe { info.u.entry };
                    entered.insert(pid, [entry.nr, entry.args[0], entry.args[1]]);
                } else if let Some(call) = entered.remove(&pid)
                    && let Some(done) = what_it_did(pid, call, folder)
                {
                    events.push(Event {
                        done,
                        image: look(folder),
                        promised: promised(),
                    });
                }
                (pid, None)
            }
            WaitStatus::Stopped(pid, Signal::SIGSTOP | Signal::SIGTRAP) => (pid, None),
            WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
            WaitStatus::PtraceEvent(pid, ..) => (pid, None),
            _ => continue,
        };
        match ptrace::syscall(thread, signal) {
            // It ended in this moment.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// `None` when the call is none of those that matter, or is about something else than the folder.
fn what_it_did(thread: Pid, [number, first, _]: [u64; 3], folder: &Path) -> Option<Done> {
    let number = i64::try_from(number).unwrap();
    let writes = [
        libc::SYS_pwrite64,
        libc::SYS_pwritev,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_ftruncate,
    ];
    let syncs = [libc::SYS_fdatasync, libc::SYS_fsync];
    let renames = [libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_unlinkat];
    #[cfg(target_arch = "x86_64")]
    let renames = [&renames[..], &[libc::SYS_rename, libc::SYS_unlink]].concat();
    if renames.contains(&number) {
        return Some(Done::Written);
    }
    if !writes.contains(&number) && !syncs.contains(&number) {
        return None;
    }
    let process = PathBuf::from(format!("/proc/{thread}"));
    let file = fs::read_link(process.join(format!("fd/{first}"))).ok()?;
    if file == folder {
        return syncs.contains(&number).then_some(Done::NamesSynced);
    }
    if file.parent() != Some(folder) || IGNORED.iter().any(|name| file.ends_with(name)) {
        return None;
    }
    let inode = fs::metadata(&file).ok()?.ino();
    if syncs.contains(&number) {
        return Some(Done::Synced(inode));
    }
    let info = fs::read_to_string(process.join(format!("fdinfo/{first}"))).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
    Some(if flags & libc::O_DSYNC == 0 {
        Done::Written
    } else {
        Done::WrittenThrough(inode)
    })
}

fn look(folder: &Path) -> Image {
    let mut image = Image::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if IGNORED.contains(&name.as_str()) || !entry.path().is_file() {
            continue;
        }
        let inode = entry.metadata().unwrap().ino();
        image.names.insert(name, inode);
        image
            .files
            .insert(inode, Arc::new(fs::read(entry.path()).unwrap()));
    }
    image
}
