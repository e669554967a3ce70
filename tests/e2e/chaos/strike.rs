//! Carrying a round out: one operation, and the blows at their times.

use std::{fmt, fmt::Write as _, process::Stdio, time::Duration};

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{
    model::{Model, Order, Outcome},
    plan::{Round, Victim},
    subjects::{Population, Subject, generation},
};
use crate::{
    console::text,
    processes::{Process, child},
    until::{patiently, seconds, until},
    world::World,
};

/// An operation says how it ended within this time, also when what it works on is killed.
const ANSWERED_WITHIN: Duration = seconds(180);

/// A blow that was dealt.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) at: Victim,
    /// Who died of it; nobody when the place was empty, as Node's is while it sleeps.
    pub(super) process: Option<Process>,
    /// Whether it was Node that may have had leave to end already: then no runtime died.
    pub(super) was_leaving: bool,
    when: Duration,
}

/// What was done in a round.
#[derive(Debug, Default)]
pub(super) struct Dealt {
    pub(super) order: Option<(usize, Order, Outcome)>,
    pub(super) all: Vec<Hit>,
}

impl Dealt {
    pub(super) fn hits(&self) -> usize {
        self.all.iter().filter(|hit| hit.process.is_some()).count()
    }

    /// Those that somebody died of in this service.
    pub(super) fn on(&self, subject: usize) -> impl Iterator<Item = &Hit> {
        self.all
            .iter()
            .filter(move |hit| hit.process.is_some() && hit.at.subject() == Some(subject))
    }

    /// What was asked of this service.
    pub(super) fn asked(&self, subject: usize) -> Option<&Order> {
        let (of, order, _) = self.order.as_ref()?;
        (*of == subject).then_some(order)
    }

    pub(super) fn in_short(&self, subjects: &[Subject]) -> String {
        let mut words = String::new();
        if let Some((subject, order, outcome)) = &self.order {
            let how = match outcome {
                Outcome::Acknowledged => "done",
                Outcome::Failed(_) => "failed",
            };
            let _ = write!(words, "{order:?} {} {how}; ", subjects[*subject].id());
        }
        for hit in &self.all {
            let of = hit.at.subject().map_or("Coppice", |of| subjects[of].id());
            let name = format!("{:?}", hit.at);
            let part = name.split('(').next().unwrap_or_default();
            let missed = if hit.process.is_some() {
                ""
            } else {
                " (missed)"
            };
            let _ = write!(
                words,
                "{part} of {of} at {} ms{missed}, ",
                hit.when.as_millis()
            );
        }
        words.trim_end_matches([',', ' ']).to_owned()
    }
}

impl fmt::Display for Dealt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((subject, order, outcome)) = &self.order {
            writeln!(f, "asked of {subject}: {order:?}: {outcome:?}")?;
        }
        for hit in &self.all {
            writeln!(
                f,
                "at {} ms: {:?}: {:?}",
                hit.when.as_millis(),
                hit.at,
                hit.process
            )?;
        }
        Ok(())
    }
}

/// Plays the round. The model then knows what may have come of it.
pub(super) fn carry_out(
    world: &mut World,
    subjects: &[Subject],
    model: &mut Model,
    round: &Round,
    order: Option<(usize, Order)>,
) -> Dealt {
    let began = Mono::now();
    let asking = order.map(|(subject, order)| {
        let child = world
            .server
            .command(
                &words(&subjects[subject], &order)
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (subject, order, child)
    });
    let mut dealt = Dealt::default();
    for blow in &round.blows {
        pass((began + blow.after).since(Mono::now()));
        dealt
            .all
            .push(strike(world, subjects, blow.at, round.heartless, began));
    }
    if let Some((subject, order, mut child)) = asking {
        let ended = patiently(ANSWERED_WITHIN, Duration::from_millis(10), || {
            child.try_wait().unwrap()
        });
        if ended.is_none() {
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        assert!(
            ended.is_some(),
            "{order:?} of {} gave no answer within {ANSWERED_WITHIN:?}\n{dealt}",
            subjects[subject].id()
        );
        let outcome = if output.status.success() {
            Outcome::Acknowledged
        } else {
            Outcome::Failed(text(&output.stderr).trim().to_owned())
        };
        assert!(
            outcome == Outcome::Acknowledged || dealt.hits() > 0,
            "nobody was hit, and {order:?} failed: {outcome:?}"
        );
        model.ended(subject, &order, &outcome);
        dealt.order = Some((subject, order, outcome));
    }
    dealt
}

/// The command line of an order.
fn words(subject: &Subject, order: &Order) -> Vec<String> {
    let words: &[&str] = match order {
        Order::Install => &["package", "install", subject.file()],
        Order::Uninstall => &["package", "uninstall", subject.id()],
        Order::Start => &["service", "start", subject.id()],
        Order::Stop => &["service", "stop", subject.id()],
        Order::Restart => &["service", "restart", subject.id()],
        Order::Greet(greeting) => {
            let input = json!({ "greeting": greeting }).to_string();
            let words = [
                "action",
                "run",
                subject.id(),
                "set-greeting",
                "--input",
                &input,
            ];
            return words.map(str::to_owned).to_vec();
        }
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Kills who is there at this moment; a heart is followed by a new one.
fn strike(
    world: &mut World,
    subjects: &[Subject],
    at: Victim,
    heartless: Duration,
    began: Mono,
) -> Hit {
    let node = match at {
        Victim::Node(subject) => Some(subjects[subject].id()),
        _ => None,
    };
    let aimed = aim(world, subjects, at);
    // Nobody tells it once it is dead.
    let generation = aimed.as_ref().and_then(generation);
    let process = aimed.filter(|process| kill(world, at, process, heartless));
    let when = Mono::now().since(began);
    let was_leaving = node
        .filter(|_| process.is_some())
        .is_some_and(|id| may_have_left(world, id, generation));
    Hit {
        at,
        process,
        was_leaving,
        when,
    }
}

/// Whether it is noted that this generation of a service's Node sleeps, which is done before it gets leave to end.
/// Without a core to ask it may be.
fn may_have_left(world: &World, id: &str, generation: Option<u64>) -> bool {
    let asked = world.server.try_cli(&["service", "status", id, "--json"]);
    let told = serde_json::from_slice::<Value>(&asked.stdout).ok();
    told.is_none_or(|told| {
        let asleep = told["entry"]["asleep"]["generation"].as_u64();
        asleep.is_some() && asleep == generation
    })
}

fn aim(world: &World, subjects: &[Subject], at: Victim) -> Option<Process> {
    let server = &world.server;
    let population = |subject: usize| {
        Population::of(server, subjects[subject].id(), subjects[subject].daemons())
    };
    match at {
        Victim::Daemon(subject) => population(subject).daemons.first().cloned(),
        Victim::Node(subject) => population(subject).nodes.first().cloned(),
        Victim::Agent(subject) => population(subject).agents.first().cloned(),
        Victim::Monitor(subject) => population(subject).monitors.first().cloned(),
        Victim::Core => child(server.heart().pid, "core"),
        Victim::Edge => child(server.heart().pid, "edge"),
        Victim::Heart => Some(server.heart()),
    }
}

/// Tells whether it was there to be killed.
fn kill(world: &mut World, at: Victim, process: &Process, heartless: Duration) -> bool {
    if at == Victim::Heart {
        world.server.shoot();
        pass(heartless);
        world.server.spawn();
        return true;
    }
    if !process.try_shoot() {
        return false;
    }
    // A busy machine takes its time to end it, and until then all looks well.
    until("what was killed is dead", seconds(30), || {
        (!process.lives()).then_some(())
    });
    true
}

/// Lets time pass: the moment of a blow is drawn, and is no state that could be waited for.
fn pass(time: Duration) {
    patiently(time, Duration::from_millis(1), || None::<()>);
}
