//! The shipped supervisor against OTP's own: the same random script, the same things seen.
//!
//! A script is a tree of specs and a list of steps (`script.rs`), made from a seed
//! (`generate.rs`). A real `erl` runs it through OTP's `supervisor` (`oracle.erl`, fed by
//! `erlang.rs`); real actors run it through ours, backoff off (`ours.rs`). Both say, step by step,
//! which children were started and which ended, in which order and how, what each command was
//! answered, which tree is left, and how the root ended. The two texts must be equal, or differ in
//! a way that has a name (`deviation.rs`); anything else is made small (`shrink.rs`) and printed.
//!
//! | Variable | Meaning |
//! | --- | --- |
//! | `COPPICE_ORACLE_SCRIPTS` | how many scripts; 2,000 unless set |
//! | `COPPICE_ORACLE_SEED` | seed of the first script, each further one is one more; a fixed one unless set |
//!
//! `COPPICE_ORACLE_SCRIPTS=100000 cargo test -p coppice-supervision --test oracle -- --nocapture`

#![allow(clippy::unwrap_used, reason = "a test may panic; that is how it fails")]

mod deviation;
mod erlang;
mod erlang_base;
mod generate;
mod ours;
mod script;
mod shrink;
mod worker;

use std::{collections::BTreeMap, fmt::Write};

use deviation::{Deviation, Verdict, compare};
use erlang::Erlang;
use script::Script;

/// A round figure that no one has chosen for what it finds.
const FIRST_SEED: u64 = 1_000_000;
const SCRIPTS: u64 = 2_000;
/// Scripts given to Erlang at once, while ours runs the same ones.
const CHUNK: u64 = 500;

/// Seeds that once showed a difference, as long as `generate.rs` makes the same of them; they run
/// first. What they showed is also a test with a name in `tests/supervisor`.
const ONCE_DIFFERENT: &[u64] = &[1_010_677];

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number, not `{text}`")),
        Err(_) => default,
    }
}

#[test]
fn otp_and_ours_see_the_same_in_every_script() {
    let first = variable("COPPICE_ORACLE_SEED", FIRST_SEED);
    let count = variable("COPPICE_ORACLE_SCRIPTS", SCRIPTS);
    let mut erlang = Erlang::start();
    let mut tally = Tally::default();
    run(ONCE_DIFFERENT.iter().copied(), &mut erlang, &mut tally);
    for start in (0..count).step_by(CHUNK as usize) {
        let seeds = (start..count.min(start + CHUNK)).map(|n| first.wrapping_add(n));
        run(seeds, &mut erlang, &mut tally);
    }
    println!("{tally}");
    // Fewer scripts are a replay, which need not show everything.
    if count >= SCRIPTS {
        tally.assert_everything_was_seen();
    }
}

fn run(seeds: impl Iterator<Item = u64>, erlang: &mut Erlang, tally: &mut Tally) {
    let scripts: Vec<Script> = seeds.map(generate::script).collect();
    let (theirs, ours) = erlang.run_beside(&scripts, || ours::run_all(&scripts));
    for ((script, otp), ours) in scripts.iter().zip(&theirs).zip(&ours) {
        match compare(script, otp, ours) {
            Verdict::Different { .. } => {
                let (small, otp, ours) = shrink::shrink(script, erlang);
                panic!("{}", report(script.seed, &small, &otp, &ours));
            }
            verdict => tally.count(script, ours, &verdict),
        }
    }
}

fn report(seed: u64, script: &Script, otp: &str, ours: &str) -> String {
    let at = match compare(script, otp, ours) {
        Verdict::Different { step } => step,
        Verdict::Same | Verdict::Explained(_) => 0,
    };
    let mut text =
        format!("ours and OTP's supervisor part ways.\n\n{script}\nstep  who   what was seen\n");
    let (otp, ours): (Vec<_>, Vec<_>) = (otp.split(';').collect(), ours.split(';').collect());
    for step in 0..otp.len().max(ours.len()) {
        let seen = |who: &[&str]| who.get(step).map_or("nothing", |seen| *seen).to_owned();
        let mark = if step == at { '>' } else { ' ' };
        let _ = writeln!(text, "{mark}{step:>3}  OTP   {}", seen(&otp));
        let _ = writeln!(text, "{mark}     ours  {}", seen(&ours));
    }
    let _ = write!(
        text,
        "\nThe script above is made small. Seed {seed}; to run it again as it was:\n\
         COPPICE_ORACLE_SEED={seed} COPPICE_ORACLE_SCRIPTS=1 \
         cargo test -p coppice-supervision --test oracle\n"
    );
    text
}

/// What was seen in all scripts, so that a generator that has lost its teeth is noticed.
#[derive(Default)]
struct Tally {
    scripts: u64,
    same: u64,
    explained: BTreeMap<Deviation, u64>,
    seen: BTreeMap<&'static str, u64>,
}

/// Words of the record, and what it means that they occur.
const FEATURES: [(&str, &str); 16] = [
    ("a child was started", "start:"),
    ("a start failed", "fail:"),
    ("a child chose not to run", "ignore:"),
    ("a child ended by itself", "exit:"),
    ("a child was stopped", "stop:"),
    ("a child was killed", "kill:"),
    ("a tree did not come up", "=failed"),
    ("a root ended before it was told to", "=ended:shutdown "),
    ("a command found no child", "not_found"),
    ("a command met a running child", "running"),
    ("a name was taken", "present"),
    ("a start command failed", "failed "),
    ("a start command was ignored", "ignored "),
    ("a spec was refused", "refused"),
    ("a command came too late", "gone"),
    ("a child was left down", "-"),
];

impl Tally {
    fn count(&mut self, script: &Script, ours: &str, verdict: &Verdict) {
        self.scripts += 1;
        match verdict {
            Verdict::Explained(names) => {
                for name in names {
                    *self.explained.entry(*name).or_default() += 1;
                }
            }
            Verdict::Same | Verdict::Different { .. } => self.same += 1,
        }
        let early = ours.split(';').count() < script.steps.len() + 2;
        for (meaning, word) in FEATURES {
            let found = match meaning {
                "a root ended before it was told to" => early && ours.contains("=ended:"),
                _ => ours.contains(word),
            };
            *self.seen.entry(meaning).or_default() += u64::from(found);
        }
        for feature in script.features() {
            *self.seen.entry(feature).or_default() += 1;
        }
    }

    fn assert_everything_was_seen(&self) {
        let rare: Vec<_> = self
            .seen
            .iter()
            .filter(|(_, times)| **times * 1_000 < self.scripts)
            .collect();
        assert!(rare.is_empty(), "the scripts hardly ever reach: {rare:?}");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} scripts, {} the same", self.scripts, self.same)?;
        for (name, times) in &self.explained {
            writeln!(f, "{times:>8}  under the rule {name:?}")?;
        }
        for (feature, times) in &self.seen {
            writeln!(f, "{times:>8}  {feature}")?;
        }
        Ok(())
    }
}
