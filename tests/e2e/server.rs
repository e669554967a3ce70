//! One server: its processes, and its command line.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    console::{run, succeeded, text},
    processes::{self, Process},
    scratch::Scratch,
    until::{patiently, seconds, until},
};

pub(crate) const COPPICE: &str = env!("CARGO_BIN_EXE_coppice");

/// A server of this run.
pub(crate) struct Server {
    pub(crate) data: PathBuf,
    pub(crate) short: String,
    pub(crate) log: PathBuf,
    /// After how many quiet seconds the JavaScript of a service ends; 0 for never, so that no step but those about
    /// it depends on how long another one took.
    pub(crate) sleep_after: u32,
    heart: Option<Child>,
}

impl Server {
    /// A server that was never started, with the run's id number `number`.
    pub(crate) fn new(scratch: &Scratch, number: usize, log: PathBuf) -> Self {
        let short = scratch.ids[number].clone();
        let data = scratch.data(&format!("data-{short}"));
        fs::create_dir_all(&data).unwrap();
        // A server keeps the id that it finds; chosen beforehand, it is known when there is to clean up.
        fs::write(data.join("id"), format!("{short}\n")).unwrap();
        Self {
            data,
            short,
            log,
            sleep_after: 0,
            heart: None,
        }
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        Path::new("/run/coppice").join(&self.short)
    }

    /// Starts the heart and waits until the server answers.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.answers();
    }

    /// Starts the heart.
    pub(crate) fn spawn(&mut self) {
        assert!(self.heart.is_none(), "it runs already");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let heart = Command::new(COPPICE)
            .args(["heart", "--data-dir"])
            .arg(&self.data)
            .arg("--base-image")
            .arg(std::env::var_os("COPPICE_BASE_IMAGE").unwrap())
            .env(
                "COPPICE_LOG",
                std::env::var("COPPICE_E2E_LOG").unwrap_or_else(|_| "info".to_owned()),
            )
            .env("COPPICE_SLEEP_AFTER", self.sleep_after.to_string())
            .env_remove("COPPICE_DATA_DIR")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // As from a terminal of its own: signals to the tests are not signals to it.
            .process_group(0)
            .spawn()
            .unwrap();
        self.heart = Some(heart);
    }

    /// Waits until the core and the edge answer.
    pub(crate) fn answers(&mut self) {
        let mut last = String::new();
        let up = patiently(seconds(30), Duration::from_millis(50), || {
            if let Some(status) = self
                .heart
                .as_mut()
                .and_then(|heart| heart.try_wait().unwrap())
            {
                self.heart = None;
                panic!(
                    "the server ended with {status} while it was starting:\n{}",
                    self.log_from(0)
                );
            }
            let output = self.try_cli(&["service", "list", "--json"]);
            last = text(&output.stderr) + &text(&output.stdout);
            output.status.success().then_some(())
        });
        assert!(
            up.is_some(),
            "the server does not answer: {last}\n{}",
            self.log_from(0)
        );
    }

    pub(crate) fn runs(&mut self) -> bool {
        match &mut self.heart {
            Some(heart) => heart.try_wait().unwrap().is_none(),
            None => false,
        }
    }

    /// What the server has logged since the log was `offset` bytes long; its last part.
    pub(crate) fn log_from(&self, offset: usize) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        let new = text(all.get(offset..).unwrap_or_default());
        let lines: Vec<&str> = new.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    pub(crate) fn log_length(&self) -> usize {
        fs::metadata(&self.log).map_or(0, |log| usize::try_from(log.len()).unwrap_or_default())
    }

    // Its processes.

    pub(crate) fn heart(&self) -> Process {
        let heart = self.heart.as_ref().expect("the server was not started");
        Process::of(heart.id().cast_signed()).expect("the heart has ended")
    }

    /// The core or the edge of now.
    pub(crate) fn child(&self, role: &str) -> Process {
        let heart = self.heart();
        until(&format!("there is a {role}"), seconds(10), || {
            processes::child(heart.pid, role)
        })
    }

    /// Waits for the heart to end by itself.
    pub(crate) fn ended(&mut self, within: Duration) -> ExitStatus {
        let mut heart = self.heart.take().expect("the server was not started");
        let ended = patiently(within, Duration::from_millis(10), || {
            heart.try_wait().unwrap()
        });
        let Some(status) = ended else {
            self.heart = Some(heart);
            panic!("the heart has not ended within {} s", within.as_secs_f32());
        };
        status
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.heart().pid), signal).unwrap();
    }

    /// kill -9 of everything, and its end; harmless when nothing runs.
    pub(crate) fn shoot(&mut self) {
        if let Some(mut heart) = self.heart.take() {
            // It may have ended by itself.
            let _ = heart.kill();
            let _ = heart.wait();
        }
    }

    pub(crate) fn processes(&self, instance: &str) -> Vec<Process> {
        processes::of_service(&self.short, instance)
    }

    /// The service's only process of that name.
    pub(crate) fn process(&self, instance: &str, name: &str) -> Process {
        let all = self.processes(instance);
        let mut found = all.iter().filter(|process| process.name == name);
        match (found.next(), found.next()) {
            (Some(process), None) => process.clone(),
            _ => panic!("`{instance}` should have one process `{name}`, it has {all:?}"),
        }
    }

    /// Pid 1 of a service's container.
    pub(crate) fn init(&self, instance: &str) -> Process {
        let mut all = self.processes(instance).into_iter();
        all.find(|process| processes::number_inside(process) == Some(1))
            .unwrap_or_else(|| panic!("`{instance}` has no pid 1"))
    }

    /// The process that liblxc keeps beside a service's container.
    pub(crate) fn monitor(&self, instance: &str) -> Process {
        let mut found = self.monitors(instance).into_iter();
        found
            .next()
            .unwrap_or_else(|| panic!("`{instance}` has no monitor"))
    }

    /// All of these, should there be several, or none.
    pub(crate) fn monitors(&self, instance: &str) -> Vec<Process> {
        let groups =
            processes::cgroups_named(|name| name == format!("coppice-{}.monitor", self.short));
        let pids: BTreeSet<i32> = groups
            .iter()
            .flat_map(|group| processes::in_cgroup(&group.join(instance)))
            .collect();
        pids.into_iter().filter_map(Process::of).collect()
    }

    /// The address of a service's container.
    pub(crate) fn address(&self, instance: &str) -> String {
        let pid = self.init(instance).pid.to_string();
        let shown = run(
            "nsenter",
            &[
                "-t", &pid, "-n", "ip", "-4", "-o", "addr", "show", "scope", "global",
            ],
        );
        let address = shown
            .split_whitespace()
            .skip_while(|word| *word != "inet")
            .nth(1);
        address
            .and_then(|address| address.split('/').next())
            .unwrap_or_else(|| panic!("{shown}"))
            .to_owned()
    }

    // Its command line.

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(COPPICE);
        command.arg("--data-dir").arg(&self.data).args(words);
        command
    }

    pub(crate) fn try_cli(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a verb prints; it has to succeed.
    #[track_caller]
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        succeeded(
            &format!("coppice {}", words.join(" ")),
            &self.try_cli(words),
        )
    }

    #[track_caller]
    pub(crate) fn cli_with_input(&self, words: &[&str], input: &str) -> String {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(format!("{input}\n").as_bytes())
            .unwrap();
        succeeded(
            &format!("coppice {}", words.join(" ")),
            &child.wait_with_output().unwrap(),
        )
    }

    /// What a verb prints with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let printed = self.cli(&[words, &["--json"]].concat());
        serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("coppice {}: {error}: {printed}", words.join(" ")))
    }

    /// What a verb says when it refuses; it has to, with exit code 1.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = self.try_cli(words);
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(1),
            "coppice {} should be refused: {}{said}",
            words.join(" "),
            text(&output.stdout)
        );
        said.trim_end().to_owned()
    }

    /// One service as `service list` tells of it.
    pub(crate) fn service(&self, id: &str) -> Option<Value> {
        let list = self.json(&["service", "list"]);
        list.as_array()?.iter().find(|one| one["id"] == id).cloned()
    }

    /// The first restart record of a part of a service that is newer than `before`.
    pub(crate) fn new_restart(&self, id: &str, what: &str, before: &Value) -> Value {
        let wanted = format!("there is a new restart record of `{what}` of `{id}`");
        until(&wanted, seconds(10), || {
            let why = self.json(&["service", "why", id]);
            let new = |record: &&Value| record["what"] == what && seq(record) > seq(before);
            why["restarts"].as_array()?.iter().find(new).cloned()
        })
    }

    /// The newest restart record of a service, null when there is none.
    pub(crate) fn last_restart(&self, id: &str) -> Value {
        newest(&self.json(&["service", "why", id])).unwrap_or_default()
    }
}

fn newest(why: &Value) -> Option<Value> {
    why["restarts"]
        .as_array()?
        .iter()
        .max_by_key(|record| seq(record))
        .cloned()
}

fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

/// Starts a server that is expected to refuse, and gives what it says.
pub(crate) fn start_refused(data: &Path, log: &Path) -> String {
    let said = File::create(log).unwrap();
    let mut heart = Command::new(COPPICE)
        .args(["heart", "--data-dir"])
        .arg(data)
        .arg("--base-image")
        .arg(std::env::var_os("COPPICE_BASE_IMAGE").unwrap())
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .process_group(0)
        .spawn()
        .unwrap();
    let status = patiently(seconds(20), Duration::from_millis(20), || {
        heart.try_wait().unwrap()
    });
    let Some(status) = status else {
        let _ = heart.kill();
        let _ = heart.wait();
        panic!(
            "a server on {} should have refused to start",
            data.display()
        );
    };
    let said = fs::read_to_string(log).unwrap();
    assert!(
        !status.success(),
        "a server on {} should have refused: {said}",
        data.display()
    );
    said
}
