//! Whether two records say the same, and the differences that we mean to have.
//!
//! Two things are put in order before anything is compared, because neither OTP nor ours promises
//! one: the ends of children that a dynamic supervisor stops all at once, and the ends of those
//! whose supervisor was killed. Everything else must be equal, word by word, or have a name here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::script::{Child, Kind, Script, Start, Step, Sup};

/// A documented difference: `docs/decisions/0013-where-we-differ-from-otp.md` says why we want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deviation {
    /// A child's end is heard before commands that were sent earlier. A rule of translation:
    /// `erlang.rs` gives OTP the exits of a batch first.
    ExitsOvertakeCommands,
    /// A spec that contradicts the supervisor's is refused at once, also while the supervisor is
    /// busy or ends; OTP's has to come to it first.
    BadSpecsAreRefusedFirst,
    /// A dynamic supervisor's child that ended and chooses not to run when it is restarted is gone.
    /// OTP's supervisor keeps an entry without a process for it, and fails when it later ends.
    IgnoredDynamicRestartLeavesNothing,
    /// Children of a dynamic supervisor are found by name, so commands about a name have an
    /// answer where OTP says `simple_one_for_one`.
    DynamicChildrenHaveNames,
    /// Under `one_for_one` and dynamic supervisors nothing waits for the start or the stop of
    /// another child. So when several children need something at once, what happens to one is in
    /// no order with what happens to the others; and a start is given up if the supervisor ends,
    /// or the child is terminated, before it was made.
    IndependentChildrenDoNotWait,
}

pub(crate) enum Verdict {
    Same,
    Explained(BTreeSet<Deviation>),
    Different { step: usize },
}

/// What was seen in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    answers: Vec<String>,
    events: Vec<Event>,
    /// The tree, or how the root ended.
    end: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    what: String,
    worker: String,
}

pub(crate) fn compare(script: &Script, otp: &str, ours: &str) -> Verdict {
    // Two that hang at the same step have nothing in common but that.
    for record in [otp, ours] {
        if ["hung", "broken:", "unanswered"]
            .iter()
            .any(|word| record.contains(word))
        {
            let step = record.split(';').count() - 1;
            return Verdict::Different { step };
        }
    }
    let family = Family::of(script);
    let read = |record: &str| -> Vec<Seen> {
        let steps = record.split(';').map(Seen::read).enumerate();
        steps
            .map(|(n, seen)| family.in_order(script, n, seen))
            .collect()
    };
    let (otp, ours) = (read(otp), read(ours));
    let mut names = BTreeSet::new();
    for step in 0..otp.len().max(ours.len()) {
        let (Some(otp), Some(ours)) = (otp.get(step), ours.get(step)) else {
            return Verdict::Different { step };
        };
        if otp == ours {
            continue;
        }
        let Some(why) = explain(script, &family, step, otp, ours) else {
            return Verdict::Different { step };
        };
        // From here on, OTP's supervisor is one that will fail.
        let breaks_off = why.contains(&Deviation::IgnoredDynamicRestartLeavesNothing);
        names.extend(why);
        if breaks_off {
            break;
        }
    }
    if reorders(script) {
        names.insert(Deviation::ExitsOvertakeCommands);
    }
    if names.is_empty() {
        Verdict::Same
    } else {
        Verdict::Explained(names)
    }
}

/// Why one step differs, or `None` if nothing explains it.
fn explain(
    script: &Script,
    family: &Family,
    step: usize,
    otp: &Seen,
    ours: &Seen,
) -> Option<BTreeSet<Deviation>> {
    let overlapping = several_at_once(script, step) && !family.independent.is_empty();
    if let Some(n) = family.ignored_restart(&otp.events) {
        // When several things happen at once, ours may have given the restart up before the child
        // could say that it would not run.
        if overlapping || ours.events.get(..=n) == otp.events.get(..=n) {
            return Some([Deviation::IgnoredDynamicRestartLeavesNothing].into());
        }
    }
    if otp.end != ours.end || otp.answers.len() != ours.answers.len() {
        return None;
    }
    let mut names = BTreeSet::new();
    for (theirs, ours) in otp.answers.iter().zip(&ours.answers) {
        match (theirs.as_str(), ours.as_str()) {
            (theirs, ours) if theirs == ours => {}
            ("simple_one_for_one", "running" | "not_found") => {
                names.insert(Deviation::DynamicChildrenHaveNames);
            }
            ("gone", "refused") => {
                names.insert(Deviation::BadSpecsAreRefusedFirst);
            }
            (_, "gone" | "cancelled") if overlapping => {
                names.insert(Deviation::IndependentChildrenDoNotWait);
            }
            _ => return None,
        }
    }
    if otp.events != ours.events {
        if !overlapping || !differ_in_order_only(family, &otp.events, &ours.events) {
            return None;
        }
        names.insert(Deviation::IndependentChildrenDoNotWait);
    }
    Some(names)
}

/// Whether both show the same of children that restart in groups, in the same order, and the same
/// of each independent child, but for starts that ours gave up.
fn differ_in_order_only(family: &Family, otp: &[Event], ours: &[Event]) -> bool {
    let in_groups = |events: &[Event]| -> Vec<Event> {
        let grouped = |event: &&Event| !family.is_independent(&event.worker);
        events.iter().filter(grouped).cloned().collect()
    };
    if in_groups(otp) != in_groups(ours) {
        return false;
    }
    let (otp, mut ours) = (by_worker(otp), by_worker(ours));
    let explained = otp.iter().all(|(worker, theirs)| {
        is_without_some_starts(theirs, &ours.remove(worker).unwrap_or_default())
    });
    explained && ours.is_empty()
}

/// Whether more than one thing can be under way in one step.
fn several_at_once(script: &Script, step: usize) -> bool {
    let batch = step > 0 && matches!(script.steps.get(step - 1), Some(Step::Batch(..)));
    let stillborn = script.children().iter().any(|child| match &child.kind {
        Kind::Worker { starts, .. } => starts.iter().any(|start| matches!(start, Start::Die(_))),
        Kind::Sup(_) => false,
    });
    batch || stillborn
}

fn by_worker(events: &[Event]) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in events {
        found.entry(&event.worker).or_default().push(&event.what);
    }
    found
}

/// Whether `ours` is the same life but for starts that were not made.
fn is_without_some_starts(theirs: &[&str], ours: &[&str]) -> bool {
    let left_out = match theirs {
        ["start", _end, rest @ ..] => Some(rest),
        ["start" | "fail" | "ignore", rest @ ..] => Some(rest),
        _ => None,
    };
    let goes_on = match (theirs, ours) {
        ([], []) => true,
        ([a, theirs @ ..], [b, ours @ ..]) => a == b && is_without_some_starts(theirs, ours),
        _ => false,
    };
    goes_on || left_out.is_some_and(|theirs| is_without_some_starts(theirs, ours))
}

/// Whether OTP was given the script in another order.
fn reorders(script: &Script) -> bool {
    script.steps.iter().any(|step| match step {
        Step::Batch(_, acts) => !acts.is_sorted_by_key(|act| !act.is_exit()),
        Step::One(_) | Step::Kill(_) | Step::Stop(_) => false,
    })
}

impl Seen {
    fn read(text: &str) -> Self {
        let (head, end) = text.split_once('=').unwrap_or((text, "nothing"));
        let mut seen = Self {
            answers: Vec::new(),
            events: Vec::new(),
            end: end.to_owned(),
        };
        for word in head.split_whitespace() {
            match word.split_once(':') {
                Some((what, worker)) => seen.events.push(Event {
                    what: what.to_owned(),
                    worker: worker.to_owned(),
                }),
                None => seen.answers.push(word.to_owned()),
            }
        }
        seen
    }
}

impl Event {
    fn is_end(&self) -> bool {
        ["exit", "stop", "kill"].contains(&self.what.as_str())
    }
}

/// Who is above whom.
struct Family {
    /// Of each child, all above it, nearest first.
    above: HashMap<String, Vec<String>>,
    dynamic: Vec<String>,
    independent: Vec<String>,
}

impl Family {
    fn of(script: &Script) -> Self {
        let mut family = Self {
            above: HashMap::new(),
            dynamic: Vec::new(),
            independent: Vec::new(),
        };
        for sup in script.sups() {
            if sup.shape.is_dynamic() {
                family.dynamic.push(sup.name.clone());
            }
            if sup.shape.is_independent() {
                family.independent.push(sup.name.clone());
            }
        }
        family.add_children(&script.root, &[]);
        for child in &script.late {
            let parent = child
                .name
                .rsplit_once('x')
                .map_or("r", |(parent, _)| parent);
            let mut above = vec![parent.to_owned()];
            above.extend(family.above.get(parent).cloned().unwrap_or_default());
            family.add(child, above);
        }
        family
    }

    fn add_children(&mut self, sup: &Sup, above: &[String]) {
        let above = [std::slice::from_ref(&sup.name), above].concat();
        for child in &sup.children {
            self.add(child, above.clone());
        }
    }

    fn add(&mut self, child: &Child, above: Vec<String>) {
        if let Kind::Sup(sup) = &child.kind {
            self.add_children(sup, &above);
        }
        self.above.insert(child.name.clone(), above);
    }

    fn is_under(&self, worker: &str, sup: &str) -> bool {
        self.above
            .get(worker)
            .is_some_and(|above| above.iter().any(|name| name == sup))
    }

    /// Where a child of a dynamic supervisor chose not to be restarted.
    fn ignored_restart(&self, events: &[Event]) -> Option<usize> {
        events.iter().enumerate().position(|(n, event)| {
            let ended = |earlier: &Event| earlier.is_end() && earlier.worker == event.worker;
            let parent = self
                .above
                .get(&event.worker)
                .and_then(|above| above.first());
            event.what == "ignore"
                && parent.is_some_and(|parent| self.dynamic.contains(parent))
                && events[..n].iter().any(ended)
        })
    }

    /// Whether a worker, or someone above it, is on its own among its siblings.
    fn is_independent(&self, worker: &str) -> bool {
        self.independent
            .iter()
            .any(|sup| self.is_under(worker, sup))
    }

    /// The child of `sup` that a worker is, or is under.
    fn branch<'a>(&'a self, worker: &'a str, sup: &str) -> &'a str {
        let above = &self.above[worker];
        let at = above.iter().position(|name| name == sup).unwrap_or(0);
        at.checked_sub(1).map_or(worker, |below| &above[below])
    }

    fn in_order(&self, script: &Script, step: usize, mut seen: Seen) -> Seen {
        if let Some(Step::Kill(sup)) = step.checked_sub(1).and_then(|n| script.steps.get(n)) {
            self.first_ends_first(sup, &mut seen.events);
        }
        for sup in &self.dynamic {
            let run = |event: &Event| event.is_end() && self.is_under(&event.worker, sup);
            for run in seen.events.chunk_by_mut(|a, b| run(a) && run(b)) {
                if run.len() > 1 {
                    run.sort_by(|a, b| {
                        self.branch(&a.worker, sup).cmp(self.branch(&b.worker, sup))
                    });
                }
            }
        }
        seen
    }

    /// The first end of each worker under a killed supervisor, before everything else.
    fn first_ends_first(&self, sup: &str, events: &mut Vec<Event>) {
        let mut ended = BTreeSet::new();
        let mut rest = Vec::new();
        for event in events.drain(..) {
            let fresh = !ended
                .iter()
                .any(|earlier: &Event| earlier.worker == event.worker);
            if fresh && event.what == "kill" && self.is_under(&event.worker, sup) {
                ended.insert(event);
            } else {
                rest.push(event);
            }
        }
        events.extend(ended);
        events.extend(rest);
    }
}
