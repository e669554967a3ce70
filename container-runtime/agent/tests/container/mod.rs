//! A container for tests: the agent as pid 1 of real namespaces, its host a socket of the test.
//!
//! Needs root, and nothing else that a service's container would not have. It ends with the test,
//! also when that panics or is killed: `hold.sh` waits for our end of its stdin.

#![allow(dead_code)] // Each test binary uses its part of this.

use std::{
    collections::BTreeMap,
    fs,
    os::{
        fd::AsFd,
        unix::fs::{PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use coppice_wire::{
    agent::{ProcessExited, Spawn},
    logs::{LogLine, Stream, segment_number},
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use serde_json::json;

pub(crate) mod host;

use host::{Host, Link, PATIENCE};

/// Host id of the container's root.
pub(crate) const BASE: u32 = 0x7F00_0000;
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www:/var/www:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwww-data:x:33:\nextra:x:50:www-data\n";
static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Container {
    pub(crate) host: Host,
    pub(crate) link: Link,
    dir: tempfile::TempDir,
    hold: Child,
    ran: u32,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exited: ProcessExited,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Container {
    pub(crate) fn start() -> Container {
        let dir = tempfile::Builder::new()
            .prefix("coppice-agent-")
            .tempdir()
            .unwrap();
        let path = dir.path();
        for file in ["enter.sh", "hold.sh"] {
            let from = Path::new("tests/container").join(file);
            fs::copy(from, path.join(file)).unwrap();
        }
        for made in [
            "root",
            "rpc",
            "logs",
            "image/etc",
            "image/srv",
            "layer/usr/bin",
            "layer/root",
            "layer/tmp",
        ] {
            fs::create_dir_all(path.join(made)).unwrap();
        }
        for made in ["volumes/main", "assets", "images", "subcontainers", "rpc"] {
            fs::create_dir_all(path.join("layer/media/startos").join(made)).unwrap();
        }
        for made in [
            "media/coppice/logs",
            "media/image",
            "proc",
            "sys",
            "dev",
            "run",
        ] {
            fs::create_dir_all(path.join("layer").join(made)).unwrap();
        }
        fs::write(path.join("image/etc/passwd"), PASSWD).unwrap();
        fs::write(path.join("image/etc/group"), GROUP).unwrap();
        fs::write(
            path.join("layer/media/startos/images/main.env"),
            "FROM_FILE=file\nBOTH=file\n",
        )
        .unwrap();
        let bin = path.join("layer/usr/bin");
        fs::copy(
            env!("CARGO_BIN_EXE_coppice-agent"),
            bin.join("coppice-agent"),
        )
        .unwrap();
        fs::hard_link(bin.join("coppice-agent"), bin.join("start-container")).unwrap();
        own(path);
        fs::set_permissions(path.join("enter.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let host = Host::listen(&path.join("rpc/host.sock"));
        let hold = Command::new("bash")
            .arg(path.join("hold.sh"))
            .arg(path)
            .arg(BASE.to_string())
            .env("CGROUPS", cgroups().join(" "))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let link = host.agent();
        Container {
            host,
            link,
            dir,
            hold,
            ran: 0,
        }
    }

    /// A spawn of `sh -c script`, as runtime generation `generation` or as the host's own.
    pub(crate) fn shell(id: &str, generation: Option<u64>, script: &str) -> Spawn {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        Spawn {
            id: id.to_owned(),
            generation,
            leaf: match generation {
                Some(generation) => format!("runtime-{generation}"),
                None => format!("d-{id}-host"),
            },
            argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
            env,
            cwd: None,
        }
    }

    /// Runs a script to its end and collects what it wrote.
    pub(crate) fn run(&mut self, script: &str) -> Ran {
        self.ran += 1;
        let id = format!("run-{}", self.ran);
        // The marker comes after everything else in the same pipe: seeing it, we have it all.
        let script =
            format!("({script}\n); code=$?; echo end-of-{id}; echo end-of-{id} >&2; exit $code");
        self.link
            .ask("spawn", Self::shell(&id, None, &script))
            .unwrap();
        let exited = self.link.exited(&id);
        let marker = format!("end-of-{id}");
        let read = |stream| {
            let lines = self.wait_for_log(|line| {
                line.src == id && line.stream == stream && line.line == marker
            });
            let mine = lines
                .into_iter()
                .filter(|line| line.src == id && line.stream == stream);
            mine.map(|line| line.line)
                .take_while(|line| *line != marker)
                .collect::<Vec<_>>()
                .join("\n")
        };
        Ran {
            out: read(Stream::Out),
            err: read(Stream::Err),
            exited,
        }
    }

    /// As [`Container::run`], and it must end well.
    pub(crate) fn run_ok(&mut self, script: &str) -> String {
        let ran = self.run(script);
        assert_eq!(ran.exited.code, Some(0), "`{script}` failed: {ran:?}");
        ran.out
    }

    /// Makes a subcontainer's root, as the host would, and starts its leader.
    pub(crate) fn subcontainer(&mut self, guid: &str) -> String {
        let root = self.root_only(guid);
        let launch = format!("exec /usr/bin/start-container subcontainer launch {root}");
        self.link
            .ask(
                "spawn",
                Self::shell(&format!("launch-{guid}"), Some(1), &launch),
            )
            .unwrap();
        self.run_ok(&format!("until [ -d {root}/proc/1 ]; do :; done"));
        root
    }

    /// The root without a leader.
    pub(crate) fn root_only(&mut self, guid: &str) -> String {
        let root = format!("/media/startos/subcontainers/{guid}");
        self.run_ok(&format!(
            "mkdir -p {root} && mount -t tmpfs tmpfs {root} && cd {root}
             mkdir usr proc dev sys tmp root mnt && chmod 1777 tmp && cp -a /media/image/. .
             for name in bin sbin lib lib64; do ln -s usr/$name $name; done
             mount --bind /usr usr && mount --rbind /dev dev"
        ));
        root
    }

    /// Every log line so far, oldest first.
    pub(crate) fn log(&self) -> Vec<LogLine> {
        let mut segments: Vec<(u64, PathBuf)> = fs::read_dir(self.dir.path().join("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (
                    segment_number(path.file_name().unwrap().to_str().unwrap()).unwrap(),
                    path,
                )
            })
            .collect();
        segments.sort();
        let read = |path| fs::read_to_string(path).unwrap();
        let text: String = segments.into_iter().map(|(_, path)| read(path)).collect();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The log, once it has the line.
    pub(crate) fn wait_for_log(&self, is: impl Fn(&LogLine) -> bool) -> Vec<LogLine> {
        // Watched before it is read: what is written in between wakes us.
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
        let changes = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE;
        watch.add_watch(&self.path("logs"), changes).unwrap();
        loop {
            let lines = self.log();
            if lines.iter().any(&is) {
                return lines;
            }
            let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut polled, PollTimeout::try_from(PATIENCE).unwrap()).unwrap();
            assert!(ready > 0, "the line never came; the log is {lines:#?}");
            let _ = watch.read_events();
        }
    }

    /// The connection to the agent, to hang up or to keep.
    pub(crate) fn link_taken(&mut self) -> Link {
        std::mem::replace(&mut self.link, Link::closed())
    }

    /// Hangs up, and takes the agent's next connection.
    pub(crate) fn reconnect(&mut self) {
        self.link_taken().close();
        self.link = self.host.agent();
    }

    /// A path under the test's own directory.
    pub(crate) fn path(&self, inner: &str) -> PathBuf {
        self.dir.path().join(inner)
    }

    /// Asks for the end and returns the agent's exit status.
    pub(crate) fn shut_down(mut self, grace_ms: u64) -> i32 {
        self.link
            .ask("shutdown", json!({ "grace_ms": grace_ms }))
            .unwrap();
        self.ended()
    }

    /// The agent's exit status, once it has ended by itself.
    pub(crate) fn ended(mut self) -> i32 {
        self.hold.wait().unwrap().code().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.hold.stdin.take());
        let _ = self.hold.wait();
    }
}

fn own(dir: &Path) {
    chown(dir, Some(BASE), Some(BASE)).unwrap();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            own(&entry.path());
        } else {
            chown(entry.path(), Some(BASE), Some(BASE)).unwrap();
        }
    }
}

/// One directory per hierarchy that we may use, below the test's own cgroup.
fn cgroups() -> Vec<String> {
    let name = format!(
        "coppice-agent-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    let only_v2 = text.lines().all(|line| line.starts_with("0::"));
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let hierarchy = match (controllers, only_v2) {
                ("", true) => "",
                ("", false) => "unified",
                (controllers, _) => controllers.trim_start_matches("name="),
            };
            let dir = Path::new("/sys/fs/cgroup")
                .join(hierarchy)
                .join(path.trim_start_matches('/'));
            // What is not mounted here, or read-only, is not used: the agent does without.
            let dir = dir.join(&name);
            fs::create_dir(&dir).ok()?;
            dir.to_str().map(str::to_owned)
        })
        .collect()
}
