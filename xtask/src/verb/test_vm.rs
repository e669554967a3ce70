//! `make test-vm`: what depends on the kernel, on Debian 13's own one.
//!
//! A virtual machine boots Debian 13 with systemd, AppArmor and version 2 of the control groups, none of which the machine
//! that builds need have. In it run the suites of supervision, containers and agent, the end-to-end chapters of a service's
//! life and deaths, and Coppice as a systemd unit. The processor is emulated, so that it works wherever QEMU does; that
//! makes it slow, and this no part of `make test`. The outcome is written to `docs/test-vm.md`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use self::outcome::Outcome;
use crate::build::{self, Built};
use crate::checkout::Checkout;
use crate::command;
use crate::debian;
use crate::examples;
use crate::steps::Steps;
use crate::verb::test::rust_tests;

mod outcome;

/// The system itself.
const SYSTEM: [&str; 7] = [
    "dbus",
    "kmod",
    "linux-image-cloud-amd64",
    "systemd",
    "systemd-sysv",
    "udev",
    "zstd",
];
/// What Coppice needs while running, of what `setup/packages-run` lists.
const RUN: [&str; 7] = [
    "apparmor",
    "iproute2",
    "liblxc-common",
    "liblxc1t64",
    "libsquashfs1",
    "nftables",
    "squashfs-tools",
];
/// What the tests call.
const TESTS: [&str; 6] = [
    "ca-certificates",
    "curl",
    "dnsutils",
    "e2fsprogs",
    "openssl",
    "procps",
];

/// The suites: a name of a test target, where it expects to be started, and its arguments.
const SUITES: [(&str, &str, &[&str]); 6] = [
    ("supervisor", "supervision", &[]),
    ("coppice_containers", "actors/containers", &[]),
    ("real", "actors/containers", &[]),
    ("pid1", "container-runtime/agent", &[]),
    ("subcontainer", "container-runtime/agent", &[]),
    (
        "e2e",
        ".",
        &[
            "hello::",
            "regrowth::",
            "survival::",
            "causes::",
            "daemons::",
        ],
    ),
];

/// Runs in the machine, and prints to its second serial port.
const STORY: &str = include_str!("test_vm/story.sh");
const UNIT: &str = "[Service]\nType=oneshot\nExecStart=/bin/bash /opt/story.sh\n";

const DISK_BYTES: u64 = 12 << 30;
const MEMORY: &str = "4096";

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    let mut suites = Vec::new();
    steps.always("the suites", || {
        suites = executables(checkout, &built)?;
        Ok(())
    })?;

    let folder = checkout.make_own_cache()?.join("vm");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let machine = Machine { folder };
    steps.always("a Debian 13 with a kernel of its own", || {
        debian::install(&machine.root(), &[&SYSTEM[..], &RUN, &TESTS].concat())
    })?;
    steps.always("what it is to run", || {
        machine.furnish(checkout, &built, &suites)
    })?;
    let mut outcome = Outcome::default();
    steps.always("the machine", || machine.boot(&mut outcome))?;
    checkout.write(
        &checkout.root.join("docs/test-vm.md"),
        &outcome.page(checkout)?,
    )?;
    ensure!(outcome.is_well(), "something failed there, see above");
    Ok(())
}

/// A built suite.
struct Suite {
    name: &'static str,
    executable: PathBuf,
    folder: &'static str,
    arguments: &'static [&'static str],
}

/// Builds all tests, with the features that `make test` builds them with.
fn executables(checkout: &Checkout, built: &Built) -> Result<Vec<Suite>> {
    let mut cargo = rust_tests(checkout)?;
    built.told_to(checkout, &mut cargo);
    let messages = command::output(cargo.args(["--no-run", "--message-format=json"]))?;
    let artefacts: Vec<serde_json::Value> = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let suite = |(name, folder, arguments)| {
        let executable = artefacts
            .iter()
            .filter(|artefact| artefact["target"]["name"] == name)
            .find_map(|artefact| artefact["executable"].as_str())
            .with_context(|| format!("cargo built no test `{name}`"))?;
        Ok(Suite {
            name,
            executable: executable.into(),
            folder,
            arguments,
        })
    };
    SUITES.into_iter().map(suite).collect()
}

/// The machine, as files; it is gone when this is.
struct Machine {
    folder: PathBuf,
}

impl Machine {
    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk.ext4")
    }

    /// Everything the suites read, where they read it here.
    fn furnish(&self, checkout: &Checkout, built: &Built, suites: &[Suite]) -> Result<()> {
        for file in checkout.files()? {
            self.put(&checkout.root.join(file))?;
        }
        let debug = checkout.target.join("debug");
        for program in suites
            .iter()
            .map(|suite| &suite.executable)
            .chain([&built.coppice, &debug.join("coppice-agent")])
        {
            self.put(program)?;
            let there = self.at(program)?;
            command::run(Command::new("strip").arg("--strip-debug").arg(there))?;
        }
        self.put(&built.base_image)?;
        for name in examples::NAMES {
            self.put(&examples::folder(checkout).join(format!("{name}.s9pk")))?;
        }
        // There is no compiler: the first process of the containers' tests is compiled here.
        let real = suites.iter().find(|suite| suite.name == "real");
        let real = real.context("no suite is called `real`")?;
        let init = self.root().join("opt/init");
        command::run(
            Command::new(&real.executable)
                .current_dir(checkout.root.join(real.folder))
                .env("COPPICE_TEST_COMPILE", init),
        )?;

        let root = self.root();
        fs::write(
            root.join("opt/story.sh"),
            self.story(checkout, built, suites)?,
        )?;
        fs::write(root.join("etc/systemd/system/story.service"), UNIT)?;
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants)?;
        std::os::unix::fs::symlink("../story.service", wants.join("story.service"))?;

        fs::File::create(self.disk())?.set_len(DISK_BYTES)?;
        let mut format = command::as_root("mkfs.ext4")?;
        command::run(format.args(["-q", "-d"]).arg(&root).arg(self.disk()))
    }

    fn story(&self, checkout: &Checkout, built: &Built, suites: &[Suite]) -> Result<String> {
        let variables = [
            ("COPPICE", built.coppice.as_path()),
            ("COPPICE_BASE_IMAGE", &built.base_image),
            ("COPPICE_EXAMPLES", &examples::folder(checkout)),
            ("CHECKOUT", &checkout.root),
        ];
        let mut story = String::new();
        for (name, path) in variables {
            story += &format!("export {name}={}\n", path.display());
        }
        story += STORY;
        for suite in suites {
            story += &format!(
                "suite {} {} {} {}\n",
                suite.name,
                suite.folder,
                suite.executable.display(),
                suite.arguments.join(" ")
            );
        }
        Ok(story + "unit\nfinish\n")
    }

    fn at(&self, path: &Path) -> Result<PathBuf> {
        Ok(self.root().join(path.strip_prefix("/")?))
    }

    /// Copies a file of this machine to the same place.
    fn put(&self, file: &Path) -> Result<()> {
        let there = self.at(file)?;
        if let Some(folder) = there.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(file, &there).with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Boots it, shows what it prints, and returns when it has switched itself off.
    fn boot(&self, outcome: &mut Outcome) -> Result<()> {
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", "2", "-m", MEMORY, "-display", "none", "-no-reboot"])
            .args(["-nic", "none", "-monitor", "none"])
            .arg("-kernel")
            .arg(self.booted("vmlinuz-")?)
            .arg("-initrd")
            .arg(self.booted("initrd.img-")?)
            .args(["-append", "root=/dev/vda rw console=ttyS0 quiet"])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,cache=unsafe",
                self.disk().display()
            ))
            .arg("-serial")
            .arg(format!(
                "file:{}",
                self.folder.join("console.log").display()
            ))
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        let said = qemu.stdout.take().context("its output is not open")?;
        for line in BufReader::new(said).split(b'\n') {
            let line = line.context("cannot read what the machine prints")?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            println!("{line}");
            outcome.heard(line);
        }
        ensure!(qemu.wait()?.success(), "the machine ended badly");
        Ok(())
    }

    fn booted(&self, prefix: &str) -> Result<PathBuf> {
        let boot = self.root().join("boot");
        fs::read_dir(&boot)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            })
            .with_context(|| format!("no {prefix}* in {}", boot.display()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}
