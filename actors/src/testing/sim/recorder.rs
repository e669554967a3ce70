//! Counts and checks the steps of the product's state machines, as they tell them to `tracing`.
//!
//! A step is one input that one machine was handed: container, runtime, a supervisor, a job. Nothing else
//! counts, and none of it is counted by the simulation's own loops.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::{Debug, Write},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coppice_clock::Mono;
use coppice_supervision::STEPS;
use tokio::sync::oneshot;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// Steps that a failure shows.
const SHOWN: usize = 300;

/// One step of one machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    pub(super) machine: String,
    pub(super) whose: String,
    pub(super) from: String,
    pub(super) input: String,
    pub(super) to: String,
    pub(super) due: Option<u64>,
}

impl Visit for Step {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "machine" => &mut self.machine,
            "whose" => &mut self.whose,
            "from" => &mut self.from,
            "input" => &mut self.input,
            "to" => &mut self.to,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "due" {
            self.due = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// What is looked at in every step, in the moment of it.
pub(super) type Witness = Box<dyn FnMut(&Step) -> Result<(), String> + Send>;

#[derive(Default)]
pub(super) struct Record {
    pub(super) steps: u64,
    course: u64,
    /// How often a machine in a state got an input.
    pub(super) pairs: BTreeMap<String, u64>,
    /// Where each machine of each service stands, and its deadline.
    pub(super) stands: BTreeMap<(String, String), (String, Option<u64>)>,
    last: VecDeque<String>,
    witness: Option<Witness>,
    awaited: Option<(u64, oneshot::Sender<()>)>,
    pub(super) violations: Vec<String>,
}

/// Hears the steps; clones share what they heard.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    pub(super) fn read(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn steps(&self) -> u64 {
        self.read().steps
    }

    /// Resolves when so many steps were made.
    pub(super) async fn reaches(&self, steps: u64) {
        let reached = {
            let mut record = self.read();
            if record.steps >= steps {
                return;
            }
            let (reach, reached) = oneshot::channel();
            record.awaited = Some((steps, reach));
            reached
        };
        // Whoever asks later takes the place of this one.
        let _ = reached.await;
    }

    /// Who looks at every step from now on.
    pub(super) fn witnessed_by(&self, witness: Option<Witness>) {
        self.read().witness = witness;
    }

    /// What the simulation itself does, among the steps.
    pub(super) fn note(&self, what: &str) {
        self.read().note(what);
    }

    pub(super) fn violated(&self, what: String) {
        self.read().violations.push(what);
    }
}

impl Record {
    fn note(&mut self, what: &str) {
        let mut hasher = DefaultHasher::new();
        (self.course, Mono::now(), what).hash(&mut hasher);
        self.course = hasher.finish();
        if !self.violations.is_empty() {
            // What led to it is worth more than what followed.
            return;
        }
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back(format!("{} {what}", Mono::now()));
    }

    fn take(&mut self, step: Step) {
        let Step {
            machine,
            whose,
            from,
            input,
            to,
            due,
        } = &step;
        if from.is_empty() {
            // A machine begins anew: that is no step of it.
            let place = (machine.clone(), whose.clone());
            self.stands.insert(place, (to.clone(), *due));
            return;
        }
        self.steps += 1;
        if let Some((_, reached)) = self.awaited.take_if(|(steps, _)| *steps <= self.steps) {
            // Its patience may have ended.
            let _ = reached.send(());
        }
        let mut line = String::with_capacity(80);
        // Writing to a text does not fail.
        let _ = write!(line, "{machine} {whose}: {from} ─{input}▶ {to}");
        self.note(&line);
        let pair = format!("{machine} {from} {input}");
        *self.pairs.entry(pair).or_default() += 1;
        let now = Mono::now().as_millis();
        let place = (machine.clone(), whose.clone());
        let stands = (to.clone(), *due);
        if let Some((state, Some(due))) = self.stands.insert(place, stands)
            && state == *from
            && now > due + super::SLACK_MS
        {
            self.violations.push(format!(
                "{machine} {whose} was {from} until {now}, and its deadline was {due}"
            ));
        }
        if let Some(witness) = &mut self.witness
            && let Err(violation) = witness(&step)
        {
            self.violations.push(violation);
        }
    }

    /// One number for everything that happened, in its order and at its time.
    pub(super) fn course(&self) -> u64 {
        self.course
    }

    /// The last of what happened.
    pub(super) fn tail(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == STEPS
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event(&self, event: &Event<'_>) {
        let mut step = Step::default();
        event.record(&mut step);
        self.read().take(step);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
