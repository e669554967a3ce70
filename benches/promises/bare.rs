//! The peer of a start: a bare `lxc-start`, and a bare `node -e 0` in the container that it gives.
//!
//! It starts in the mount namespace of the service's own monitor, where the service's root is put
//! together: the same overlay of the same layers with the same ids. Its configuration is the service's
//! own without network, limits and agent; init is a shell that says when it runs and when Node has ended.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{now, scratch::Scratch, server::Server};

/// Says when it runs, runs what it reads with Node, and says when that has ended.
const INIT: &str = "echo up; while read script; do /usr/bin/node -e \"$script\"; echo ended; done";
const HTTP: &str = "require('node:http').createServer((_, to) => to.end('x')).listen(8080, () => process.reallyExit(0))";
const LOAD: &str =
    "process.noDeprecation=true;require('/usr/lib/startos/package/index.js');process.reallyExit(0)";
/// Of the service's configuration, what a bare container does without.
const SERVICE_ONLY: [&str; 7] = [
    "lxc.net.",
    "lxc.cgroup.dir.",
    "lxc.log.",
    "lxc.init.",
    "lxc.uts.",
    "lxc.environment",
    "lxc.prlimit.",
];

pub(crate) struct Bare {
    folder: PathBuf,
}

pub(crate) struct Took {
    /// From the start to init running.
    pub(crate) start: Duration,
    /// One `node -e 0`, seen from the container's shell.
    pub(crate) node: Duration,
    /// One Node until its HTTP server listens.
    pub(crate) http: Duration,
    /// One Node that loads the service's package and ends.
    pub(crate) node_with_package: Duration,
}

impl Bare {
    /// A peer of the service `hello`.
    pub(crate) fn new(scratch: &Scratch, server: &Server) -> Self {
        let folder = scratch.path("bare");
        fs::create_dir_all(folder.join("lxc")).unwrap();
        let own = server
            .run_folder()
            .join("lxc")
            .join(format!("{}-hello/config", server.short));
        let own = fs::read_to_string(own).unwrap();
        let of_service =
            |line: &str| SERVICE_ONLY.iter().any(|key| line.starts_with(key)) || is_limit(line);
        let mut config: String = own
            .lines()
            .filter(|line| !of_service(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let short = &server.short;
        config += &format!(
            "lxc.uts.name = bare\nlxc.net.0.type = empty\n\
             lxc.cgroup.dir.container = coppice-{short}.bare\nlxc.cgroup.dir.container.inner = ns\n\
             lxc.cgroup.dir.monitor = coppice-{short}.bare-monitor\n"
        );
        fs::write(folder.join("config"), config).unwrap();
        Self { folder }
    }

    pub(crate) fn measure(&self, server: &Server) -> Took {
        // The parent of the service's pid 1 is its monitor.
        let init = server.init("hello").pid;
        let stat = fs::read_to_string(format!("/proc/{init}/stat")).unwrap();
        let monitor = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(1)
            .unwrap();
        let at = self.folder.display();
        // PATH without newuidmap, as for every caller of liblxc here.
        let script = format!(
            "echo ready; read go; PATH=/usr/local/sbin:/usr/local/bin exec /usr/bin/lxc-start --foreground --name bare \
             --lxcpath {at}/lxc --rcfile {at}/config --logfile {at}/log -- /bin/sh -c '{INIT}'"
        );
        let mut child = Command::new("nsenter")
            .args(["--mount", "--target", monitor, "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut to = child.stdin.take().unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        hear(&mut from, "ready");
        let mut ask = |script: &str, answer: &str| {
            let began = now();
            to.write_all(format!("{script}\n").as_bytes()).unwrap();
            hear(&mut from, answer);
            now().duration_since(began)
        };
        let took = Took {
            start: ask("", "up"),
            node: ask("0", "ended"),
            http: ask(HTTP, "ended"),
            node_with_package: ask(LOAD, "ended"),
        };
        drop(to);
        child.wait().unwrap();
        took
    }
}

fn hear(from: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), word, "what the bare container's shell says");
}

fn is_limit(line: &str) -> bool {
    let Some((key, _)) = line.split_once(" = ") else {
        return false;
    };
    key.starts_with("lxc.cgroup")
        && [".memory.", ".pids.", ".cpu."]
            .iter()
            .any(|part| key.contains(part))
}
