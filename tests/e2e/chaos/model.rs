//! What must be so, whatever was killed.

use super::subjects::Subject;

/// What is asked of the server about one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Install,
    Uninstall,
    Start,
    Stop,
    Restart,
    Greet(String),
}

/// How a service may be when all is quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not installed; nothing of it is left.
    Absent,
    /// Installed.
    Present {
        /// Whether it is wanted and runs.
        runs: bool,
        /// What its page says, where it has one that can be set.
        greeting: Option<String>,
    },
}

/// What a page says that nobody has changed.
const UNTOUCHED: &str = "Hello from Coppice";

impl Fate {
    pub(super) const fn runs(&self) -> bool {
        matches!(self, Self::Present { runs: true, .. })
    }

    /// What an order that is carried out makes of it.
    fn after(&self, order: &Order) -> Self {
        let greeting = match self {
            Self::Present { greeting, .. } => greeting.clone(),
            Self::Absent => Some(UNTOUCHED.to_owned()),
        };
        match order {
            Order::Install => Self::Present {
                runs: false,
                greeting: Some(UNTOUCHED.to_owned()),
            },
            Order::Uninstall => Self::Absent,
            Order::Start | Order::Restart => Self::Present {
                runs: true,
                greeting,
            },
            Order::Stop => Self::Present {
                runs: false,
                greeting,
            },
            Order::Greet(words) => Self::Present {
                runs: self.runs(),
                greeting: Some(words.clone()),
            },
        }
    }
}

/// How an order ended for who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was said to be done.
    Acknowledged,
    /// It failed, with these words: it has happened or has not.
    Failed(String),
}

/// Each service's possible fates; never none, and one only once somebody has looked.
#[derive(Clone, Debug)]
pub(super) struct Model(Vec<Vec<Fate>>);

impl Model {
    /// Every service runs and nobody has changed anything.
    pub(super) fn of(subjects: &[Subject]) -> Self {
        let fresh = |subject: &Subject| Fate::Present {
            runs: true,
            greeting: subject.greets().then(|| UNTOUCHED.to_owned()),
        };
        Self(
            subjects
                .iter()
                .map(|subject| vec![fresh(subject)])
                .collect(),
        )
    }

    /// How the service was found last.
    pub(super) fn fate(&self, subject: usize) -> &Fate {
        &self.0[subject][0]
    }

    pub(super) fn possible(&self, subject: usize) -> &[Fate] {
        &self.0[subject]
    }

    /// An order has ended.
    pub(super) fn ended(&mut self, subject: usize, order: &Order, outcome: &Outcome) {
        let before = self.fate(subject).clone();
        let after = before.after(order);
        self.0[subject] = match outcome {
            Outcome::Acknowledged => vec![after],
            Outcome::Failed(_) => vec![before, after],
        };
    }

    /// Somebody looked, and of the possible fates this one is so.
    pub(super) fn found(&mut self, subject: usize, fate: Fate) {
        self.0[subject] = vec![fate];
    }
}
