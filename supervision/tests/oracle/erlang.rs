//! The Erlang node: compiles `oracle.erl`, keeps one `erl` for all scripts, and talks to it.
//!
//! It is given what OTP would see: in a batch, exits come before commands
//! (`Deviation::ExitsOvertakeCommands`).

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use super::script::{Script, Step};

pub(crate) struct Erlang {
    node: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// Runs a program of Debian's `erlang-base`, or says where to get it.
fn of_erlang_base<T>(program: &str, run: impl FnOnce(&mut Command) -> std::io::Result<T>) -> T {
    run(&mut Command::new(program)).unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "`{program}` is missing: this test holds the supervisor against OTP's own. \
             Install it with `apt-get install --no-install-recommends erlang-base`"
        ),
        _ => panic!("`{program}` does not run: {error}"),
    })
}

impl Erlang {
    pub(crate) fn start() -> Self {
        let code = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
        std::fs::create_dir_all(&code).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.erl");
        let compiled = of_erlang_base("erlc", |erlc| {
            erlc.args(["-Wall", "-Werror", "-o"])
                .arg(&code)
                .arg(source)
                .output()
        });
        let said = String::from_utf8_lossy(&compiled.stdout);
        assert!(
            compiled.status.success(),
            "{source} does not compile:\n{said}"
        );
        let mut node = of_erlang_base("erl", |erl| {
            // One scheduler: see `oracle.erl`.
            erl.args(["-noshell", "+S", "1:1", "-pa"])
                .arg(&code)
                .args(["-s", "oracle", "main", "-s", "init", "stop"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        });
        Self {
            to: node.stdin.take(),
            from: BufReader::new(node.stdout.take().expect("it was asked for")),
            node,
        }
    }

    /// What OTP's supervisor shows of each script, while `meanwhile` runs.
    pub(crate) fn run_beside<T>(
        &mut self,
        scripts: &[Script],
        meanwhile: impl FnOnce() -> T,
    ) -> (Vec<String>, T) {
        let (to, from) = (&mut self.to, &mut self.from);
        thread::scope(|scope| {
            // Asking and hearing in two threads: one alone would wait for a full pipe for ever.
            let ask = scope.spawn(move || {
                let to = to.as_mut().expect("open until the end");
                for (number, script) in scripts.iter().enumerate() {
                    writeln!(to, "{}", term(number, script))?;
                }
                to.flush()
            });
            let hear = scope.spawn(move || {
                let mut heard = vec![String::new(); scripts.len()];
                for _ in scripts {
                    let mut line = String::new();
                    from.read_line(&mut line).unwrap();
                    let (number, seen) = line
                        .trim_end()
                        .split_once('|')
                        .unwrap_or_else(|| panic!("Erlang said `{line}`, which is no answer"));
                    heard[number.parse::<usize>().unwrap()] = seen.to_owned();
                }
                heard
            });
            let ours = meanwhile();
            ask.join().unwrap().expect("Erlang listens");
            (hear.join().unwrap(), ours)
        })
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // It ends when there is nothing more to read.
        self.to = None;
        // Whether it did so in good order is no concern of a test that has its answers.
        let _ = self.node.wait();
    }
}

fn term(number: usize, script: &Script) -> String {
    let steps: Vec<_> = script
        .steps
        .iter()
        .map(|step| script.step_term(&exits_first(step)))
        .collect();
    format!(
        "{{{number},{},[{}],[{}]}}.",
        script.root,
        script.plans().join(","),
        steps.join(",")
    )
}

/// `Deviation::ExitsOvertakeCommands`, as a rule of translation.
fn exits_first(step: &Step) -> Step {
    let mut step = step.clone();
    if let Step::Batch(_, acts) = &mut step {
        acts.sort_by_key(|act| !act.is_exit());
    }
    step
}
