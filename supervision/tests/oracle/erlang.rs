//! The Erlang node: compiles `oracle.erl`, keeps one `erl` for all scripts, and talks to it.
//!
//! It is given what OTP would see: in a batch, exits come before commands
//! (`Deviation::ExitsOvertakeCommands`).

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
};

use super::{
    erlang_base,
    script::{Script, Step},
};

pub(crate) struct Erlang {
    node: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Erlang {
    pub(crate) fn start() -> Self {
        let source = "tests/oracle/oracle.erl";
        let code = erlang_base::compile(Path::new(source));
        let mut node = erlang_base::program("erl", |erl| {
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
