//! The chaos suite: whatever is killed, at whatever moment, grows back.
//!
//! ```text
//! a round:  draw ─▶ begin an operation, deal the blows ─▶ wait until the invariants hold ─▶ read the records
//!            seed, number        plan.rs      strike.rs                    invariants.rs           records.rs
//! ```
//!
//! A round depends on the seed and its number alone, so any round can be had again. What the machine does
//! meanwhile is its own: the same round meets another moment each time, which is why one seed is worth
//! running twice.
//!
//! JavaScript that has nothing to do sleeps after a second, as it would in a minute, so that it is asleep when half of
//! the rounds begin, and falls asleep or wakes while blows are dealt.
//!
//! What must be so is kept in [`model`]: an operation that was acknowledged has happened; one that was
//! interrupted has happened or has not, and nothing in between is left.

mod invariants;
mod model;
mod plan;
mod records;
mod stream;
mod strike;
mod subjects;

use std::time::Duration;

use coppice_clock::Mono;

use self::{
    invariants::{Census, Settled},
    model::Model,
    plan::Round,
    subjects::Subject,
};
use crate::world::World;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    seed: u64,
    rounds: u64,
    first: u64,
    /// Whether a service with a database is among those that are killed.
    database: bool,
    clones: usize,
}

impl Options {
    /// What `make chaos` asks for; without it a few rounds of one seed.
    pub(crate) fn of_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(format!("COPPICE_CHAOS_{name}")).ok()?;
            Some(text.parse().unwrap_or_else(|error| {
                panic!("COPPICE_CHAOS_{name}={text} is not a number: {error}")
            }))
        };
        match number("SEED") {
            Some(seed) => Self {
                seed,
                rounds: number("ROUNDS").unwrap_or(20),
                first: number("FIRST").unwrap_or(0),
                database: true,
                clones: 3,
            },
            None => Self {
                seed: 3,
                rounds: 5,
                first: 0,
                database: false,
                clones: 2,
            },
        }
    }
}

/// Says how to have a round again, should it end in a panic.
struct Replay {
    seed: u64,
    round: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "     chaos: round {round} is violated; again: make chaos ARGS='--seed {seed} --first {round} --rounds 1'",
                round = self.round,
                seed = self.seed
            );
        }
    }
}

/// Runs the rounds; panics at the first violation.
pub(crate) fn run(world: &mut World, options: Options) {
    let began = Mono::now();
    let subjects = subjects::plant(world, options.clones, options.database);
    let ids: Vec<&str> = subjects.iter().map(Subject::id).collect();
    let (seed, rounds) = (options.seed, options.first..options.first + options.rounds);
    println!(
        "     chaos: seed {seed}, rounds {rounds:?}, services {}; the same: make chaos ARGS='--seed {seed} --first {} --rounds {}'",
        ids.join(" "),
        options.first,
        options.rounds
    );
    let mut model = Model::of(&subjects);
    let (mut settled, ()) = Settled::wait(world, &subjects, &mut model, None, |_| Ok(()));
    let whole = settled.census.clone();
    let mut told = Told::default();
    for number in rounds {
        let _replay = Replay {
            seed,
            round: number,
        };
        let round = Round::draw(seed, number, subjects.len());
        if round.from_sleep {
            let asleep = model.clone();
            (settled, ()) = Settled::wait(world, &subjects, &mut model, Some(&whole), |after| {
                after.sleeps(&subjects, &asleep)
            });
        }
        settled = play(
            world, &subjects, &mut model, &settled, &whole, &round, &mut told,
        );
    }
    println!(
        "     chaos: {} rounds in {:.0} s, {} kills, {} restart records, the slowest round took {:.1} s: no violation",
        options.rounds,
        Mono::now().since(began).as_secs_f64(),
        told.kills,
        told.records,
        told.slowest.as_secs_f64()
    );
    subjects::clear(world, &subjects, &model);
}

/// What the rounds came to.
#[derive(Default)]
struct Told {
    kills: usize,
    records: usize,
    slowest: Duration,
}

/// Plays one round; gives how all is after it.
fn play(
    world: &mut World,
    subjects: &[Subject],
    model: &mut Model,
    before: &Settled,
    whole: &Census,
    round: &Round,
    told: &mut Told,
) -> Settled {
    let began = Mono::now();
    let order = round.order(model);
    let stream = stream::begin(world, subjects, model, round);
    let dealt = strike::carry_out(world, subjects, model, round, order);
    let asleep = if round.from_sleep {
        " (from sleep)"
    } else {
        ""
    };
    println!(
        "     round {}{asleep}: {}",
        round.number,
        dealt.in_short(subjects)
    );
    let (after, records) = Settled::wait(world, subjects, model, Some(whole), |after| {
        invariants::untouched(before, after, subjects, &dealt)?;
        records::check(subjects, before, after, &dealt)
    });
    if let Some(held) = stream {
        held.end();
    }
    told.records += records;
    told.kills += dealt.hits();
    let took = Mono::now().since(began);
    told.slowest = told.slowest.max(took);
    println!("       quiet after {:.1} s", took.as_secs_f64());
    after
}
