//! The program that tries to get out (`tests/e2e/intruder/main.rs`): compiled, told where to aim, and heard.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    console::{run, succeeded},
    scratch::Scratch,
};

/// Where it is in an image.
pub(crate) const INSIDE_IMAGE: &str = "intruder";

/// What came of one attempt.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) outcome: String,
    pub(crate) text: String,
}

/// The program, compiled once for a run; it needs nothing of where it is started.
pub(crate) fn compiled(scratch: &Scratch) -> PathBuf {
    let program = scratch.path(INSIDE_IMAGE);
    if program.exists() {
        return program;
    }
    // Tests run at the top of their crate.
    let source = Path::new("tests/e2e/intruder/main.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "-D", "warnings"])
        .args(["-C", "target-feature=+crt-static"])
        .args(["-C", "opt-level=1", "-C", "strip=symbols", "-o"])
        .args([program.as_path(), source])
        .output()
        .unwrap();
    succeeded("rustc", &output);
    program
}

/// What it says, line by line.
#[track_caller]
pub(crate) fn told(said: &str) -> Vec<Told> {
    let told: Vec<Told> = said
        .lines()
        .map(|line| {
            let mut words = line.splitn(3, '\t').map(str::to_owned);
            match (words.next(), words.next(), words.next()) {
                (Some(name), Some(outcome), Some(text)) => Told {
                    name,
                    outcome,
                    text,
                },
                _ => panic!("it says {line:?} in\n{said}"),
            }
        })
        .collect();
    assert!(!told.is_empty(), "it said nothing");
    told
}

/// Runs it on the host, as its root.
#[track_caller]
pub(crate) fn on_the_host(scratch: &Scratch, words: &[&str]) -> String {
    run(compiled(scratch).to_str().unwrap(), words)
}

/// As JavaScript that runs it in the container and gives what it prints: `at` is the program and what it is
/// started by.
pub(crate) fn running(at: &[&str], words: &[&str]) -> String {
    let all: Vec<&str> = at.iter().chain(words).copied().collect();
    format!(
        "return new Promise(resolve => require('child_process').execFile({program:?}, {arguments:?},
           {{ env: {{}}, maxBuffer: 1 << 24 }}, (error, out, err) => resolve(`${{out}}${{err}}`)))",
        program = all[0],
        arguments = &all[1..],
    )
}

/// The numbers of the disk that a file is on.
pub(crate) fn disk_of(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(path).unwrap().dev();
    (nix::sys::stat::major(device), nix::sys::stat::minor(device))
}
