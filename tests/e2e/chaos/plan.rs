//! What happens in a round, drawn from its seed and number.

use std::{fmt, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::model::{Fate, Model, Order};

/// A part of a service, or of Coppice, to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// A process of the package, of the service with this number.
    Daemon(usize),
    /// The service's Node runtime.
    Node(usize),
    /// Pid 1 of its container.
    Agent(usize),
    /// liblxc's process beside the container.
    Monitor(usize),
    Core,
    Edge,
    Heart,
}

impl Victim {
    /// The service it is a part of.
    pub(super) const fn subject(self) -> Option<usize> {
        match self {
            Self::Daemon(subject)
            | Self::Node(subject)
            | Self::Agent(subject)
            | Self::Monitor(subject) => Some(subject),
            Self::Core | Self::Edge | Self::Heart => None,
        }
    }
}

/// A kill -9, so long after the round began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blow {
    pub(super) after: Duration,
    pub(super) at: Victim,
}

/// What somebody asks for at the beginning of a round. What that comes to depends on how the service is.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Switch,
    Restart,
    Greet,
    Plant,
}

/// One round.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    wish: Option<(usize, Wish)>,
    /// In the order of their times.
    pub(super) blows: Vec<Blow>,
    /// How long nobody starts a new heart.
    pub(super) heartless: Duration,
    /// Whether it begins once all JavaScript sleeps that can.
    pub(super) from_sleep: bool,
}

impl Round {
    /// The round `number` of a seed, over so many services.
    pub(super) fn draw(seed: u64, number: u64, subjects: usize) -> Self {
        // Far apart for neighbouring rounds, whatever the seed.
        let mut dice = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        let wishes = [
            None,
            None,
            Some(Wish::Switch),
            Some(Wish::Switch),
            Some(Wish::Restart),
            Some(Wish::Greet),
            Some(Wish::Greet),
            Some(Wish::Plant),
            Some(Wish::Plant),
        ];
        let wish = wishes
            .choose(&mut dice)
            .copied()
            .flatten()
            .map(|wish| (dice.random_range(0..subjects), wish));
        let mut blows: Vec<Blow> = (0..dice.random_range(1..=3))
            .map(|_| blow(&mut dice, subjects, wish.map(|(subject, _)| subject)))
            .collect();
        blows.sort_by_key(|blow| blow.after);
        Self {
            number,
            wish,
            blows,
            heartless: Duration::from_millis(dice.random_range(0..600)),
            from_sleep: dice.random_bool(0.5),
        }
    }

    /// The operation that the round begins with.
    pub(super) fn order(&self, model: &Model) -> Option<(usize, Order)> {
        let (subject, wish) = self.wish?;
        let order = match (wish, model.fate(subject)) {
            (_, Fate::Absent) => Order::Install,
            (Wish::Switch, Fate::Present { runs: true, .. }) => Order::Stop,
            (Wish::Switch | Wish::Restart, Fate::Present { runs: false, .. }) => Order::Start,
            (Wish::Restart, Fate::Present { runs: true, .. }) => Order::Restart,
            (
                Wish::Greet,
                Fate::Present {
                    greeting: Some(_), ..
                },
            ) => Order::Greet(format!("Round {}", self.number)),
            (
                Wish::Plant,
                Fate::Present {
                    greeting: Some(_), ..
                },
            ) => Order::Uninstall,
            // The one that takes long to set up stays.
            (
                Wish::Greet | Wish::Plant,
                Fate::Present {
                    greeting: None,
                    runs,
                },
            ) => {
                if *runs {
                    Order::Stop
                } else {
                    Order::Start
                }
            }
        };
        Some((subject, order))
    }

    /// Whether Coppice's own processes are killed that carry connections.
    pub(super) fn spares_connections(&self) -> bool {
        let spared = |blow: &Blow| !matches!(blow.at, Victim::Edge | Victim::Heart);
        self.blows.iter().all(spared)
    }

    /// Whether a service is asked for something, or killed in a part.
    pub(super) fn touches(&self, subject: usize) -> bool {
        self.wish.is_some_and(|(wished, _)| wished == subject)
            || self
                .blows
                .iter()
                .any(|blow| blow.at.subject() == Some(subject))
    }
}

fn blow(dice: &mut StdRng, subjects: usize, wished: Option<usize>) -> Blow {
    let subject = match wished {
        Some(wished) if dice.random_bool(0.5) => wished,
        _ => dice.random_range(0..subjects),
    };
    let at = match dice.random_range(0..17) {
        0..4 => Victim::Daemon(subject),
        4..7 => Victim::Node(subject),
        7..9 => Victim::Agent(subject),
        9 => Victim::Monitor(subject),
        10..14 => Victim::Core,
        14..16 => Victim::Edge,
        _ => Victim::Heart,
    };
    // Most operations are over within a quarter of a second; what they set in motion takes longer.
    let longest = if dice.random_bool(0.5) { 250 } else { 1_500 };
    Blow {
        after: Duration::from_millis(dice.random_range(0..longest)),
        at,
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wish {:?}", self.wish)?;
        for blow in &self.blows {
            writeln!(f, "after {} ms: {:?}", blow.after.as_millis(), blow.at)?;
        }
        Ok(())
    }
}
