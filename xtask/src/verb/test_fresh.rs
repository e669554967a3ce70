//! `make test-fresh`: what a new user on a new machine meets.
//!
//! A Debian 13 with nothing in it but `git` and `make` runs in a container with a network of its own. In it the commit at
//! hand is cloned and `make run` is called; then everything is removed again. Lent from this machine are only the Rust
//! toolchain, what cargo has downloaded, and where packages come from (mirrors, proxies, authorities).
//!
//! It is through when all three services are well; the container's death takes along whatever is inside.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::command;
use crate::debian;
use crate::steps::Steps;

const NAME: &str = "coppice-fresh";

/// Settings of this machine that say where packages come from, as they lie in the new one.
const LENT_FILES: [&str; 3] = ["/etc/npmrc", "/root/.npmrc", "/root/.cargo/config.toml"];
const LENT_VARIABLES: [&str; 7] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
];

/// What a new user types, and then what puts everything back. `make run` waits for Ctrl-C, which is sent when it says
/// how to stop.
const STORY: &str = r#"
update-ca-certificates > /dev/null
git -c safe.directory='*' clone --quiet /src ~/coppice
cd ~/coppice
mkfifo ~/said
set -m # `make run` gets a process group of its own, as in a terminal
make run > ~/said 2>&1 &
exec 3< ~/said
while read -r line <&3; do
  printf '%s\n' "$line"
  case $line in *'`make clean-run` removes'*) told=yes; break ;; esac
done
[ "${told:-}" = yes ]
id=$(cat data/id)
kill -INT -- "-$!"
cat <&3
wait || true # make itself calls an interruption a failure
make stop
make clean-run
[ ! -e data ]
if ip link show "cop$id" 2> /dev/null || nft list tables | grep "$id" || find /sys/fs/cgroup -name "*$id*" | grep .; then
  echo "left behind, see above"
  exit 1
fi
"#;

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let folder = checkout.own_cache().join("fresh");
    let machine = Machine { folder };
    machine.remove()?;
    steps.always("a Debian 13 with git and make", || machine.install())?;
    let _network = machine.boot(checkout)?;
    steps.always("a new user's first minutes", || machine.tell(STORY))
}

/// The new machine; it is gone when this is.
struct Machine {
    folder: PathBuf,
}

impl Machine {
    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn install(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        debian::install(&self.root(), &["ca-certificates", "git", "make"])?;
        for file in LENT_FILES.map(Path::new) {
            self.lend(file)?;
        }
        fs::write(self.root().join("etc/resolv.conf"), "nameserver 10.0.2.3\n")?; // slirp4netns's
        let authorities = "/usr/local/share/ca-certificates";
        for entry in fs::read_dir(authorities).into_iter().flatten() {
            self.lend(&entry?.path())?;
        }
        Ok(())
    }

    /// Copies a file of this machine to the same place, if there is one.
    fn lend(&self, file: &Path) -> Result<()> {
        if !file.is_file() {
            return Ok(());
        }
        let there = self.root().join(file.strip_prefix("/")?);
        if let Some(folder) = there.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(file, &there).with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Starts it, and returns what carries its packets.
    fn boot(&self, checkout: &Checkout) -> Result<Network> {
        let toolchain = command::output(command::as_user("rustc").args(["--print", "sysroot"]))?;
        let cargo = std::env::var_os("CARGO_HOME").map_or_else(
            || std::env::home_dir().unwrap_or_default().join(".cargo"),
            PathBuf::from,
        );
        let bind = |from: &Path, to: &str, how: &str| {
            format!(
                "lxc.mount.entry = {} {to} none bind,create=dir{how} 0 0",
                from.display()
            )
        };
        let lines = [
            format!("lxc.rootfs.path = dir:{}", self.root().display()),
            format!("lxc.uts.name = {NAME}"),
            "lxc.init.cmd = /bin/sleep infinity".to_owned(),
            "lxc.net.0.type = empty".to_owned(),
            // A machine of its own has all rights and all devices, among them loop devices that come later.
            "lxc.cap.drop =".to_owned(),
            "lxc.mount.auto = proc:rw sys:rw cgroup:rw:force".to_owned(),
            "lxc.autodev = 0".to_owned(),
            "lxc.mount.entry = devtmpfs dev devtmpfs rw 0 0".to_owned(),
            bind(&checkout.root, "src", ",ro"),
            bind(Path::new(toolchain.trim()), "opt/rust", ",ro"),
            bind(&cargo.join("registry"), "root/.cargo/registry", ""),
        ];
        let container = self.folder.join("lxc").join(NAME);
        fs::create_dir_all(&container)?;
        fs::write(container.join("config"), lines.join("\n") + "\n")?;
        command::run(&mut self.lxc("lxc-start")?)?;
        let pid = command::output(self.lxc("lxc-info")?.args(["--pid", "--no-humanize"]))?;
        Network::of(pid.trim())
    }

    /// Has a shell in it do this, with its output shown.
    fn tell(&self, story: &str) -> Result<()> {
        let mut attach = self.lxc("lxc-attach")?;
        attach.arg("--clear-env");
        attach.args(LENT_VARIABLES.map(|name| format!("--keep-var={name}")));
        let path = "/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        for setting in ["HOME=/root", "LANG=C.UTF-8", &format!("PATH={path}")] {
            attach.arg(format!("--set-var={setting}"));
        }
        command::run(attach.args(["--", "bash", "-euc", story]))
    }

    fn lxc(&self, program: &str) -> Result<Command> {
        let mut lxc = command::as_root(program)?;
        lxc.arg("-P")
            .arg(self.folder.join("lxc"))
            .args(["-n", NAME]);
        Ok(lxc)
    }

    /// Ends and removes it, also one that an earlier call left behind.
    fn remove(&self) -> Result<()> {
        if self.folder.join("lxc").exists() {
            // It says no when it does not run.
            let _ = self
                .lxc("lxc-stop")?
                .arg("--kill")
                .stderr(Stdio::null())
                .status();
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("{error:#}");
        }
    }
}

/// Carries a network namespace's packets to where this machine's go, without touching its interfaces or its firewall.
struct Network(Child);

impl Network {
    fn of(pid: &str) -> Result<Self> {
        let (mut ready, tells) = std::io::pipe()?;
        let slirp = command::as_root("slirp4netns")?
            .args([
                "--configure",
                "--disable-host-loopback",
                "--ready-fd=0",
                pid,
                "tap0",
            ])
            .stdin(tells)
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start `slirp4netns`")?;
        let network = Self(slirp);
        ready
            .read_exact(&mut [0])
            .context("`slirp4netns` set up no network")?;
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It has ended already if its namespace has.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
