//! In which order the daemons of one service start and end, decided without I/O.
//!
//! ```text
//!   (absent) ──add──▶ Starting ──up──▶ Up ──stop──▶ Stopping ──gone──▶ (absent)
//!                         └──────────stop─────────────▲
//! ```
//!
//! Invariants:
//! - Daemons start in the order they are declared, each when the one before it has been up once.
//! - What is not declared (any more) is ended first, the last started first, one at a time; nothing
//!   is started meanwhile.
//! - A process that nobody knows is ended, never adopted.
//!
//! No deadlines here: a daemon that does not start or does not end fails by its own ([`super::step`]),
//! is tried again, and in the end takes the service down with it.

/// Daemons by the agent's names for their processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Those there are, in start order.
    present: Vec<(String, Stage)>,
    /// Those there should be, in start order.
    declared: Vec<String>,
}

/// How far a daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not been up yet.
    Starting,
    /// It has been up; its own supervisor sees to it.
    Up,
    /// It is being ended.
    Stopping,
}

/// What happens to the daemons of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These shall run, in this order.
    Declared(Vec<String>),
    /// It runs.
    Up(String),
    /// It was ended.
    Gone(String),
}

/// What the shell does, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Have it kept running.
    Start(String),
    /// Have it ended.
    Stop(String),
    /// It is ended: forget it.
    Forget(String),
}

impl Plan {
    /// A plan that begins with these present, in start order.
    #[must_use]
    pub fn beginning_with(present: Vec<(String, Stage)>) -> Self {
        Self {
            present,
            declared: Vec::new(),
        }
    }

    /// The next plan and what to do. The same arguments always give the same answer.
    #[must_use]
    pub fn step(mut self, input: Input) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        match input {
            Input::Declared(list) => self.declared = list,
            Input::Up(name) => {
                let known = self.present.iter_mut().find(|(other, _)| *other == name);
                if let Some((_, stage @ Stage::Starting)) = known {
                    *stage = Stage::Up;
                }
            }
            Input::Gone(name) => {
                let before = self.present.len();
                self.present
                    .retain(|(other, stage)| *other != name || *stage != Stage::Stopping);
                if self.present.len() < before {
                    effects.push(Effect::Forget(name));
                }
            }
        }
        effects.extend(self.go_on());
        (self, effects)
    }

    /// At most one thing at a time is under way.
    fn go_on(&mut self) -> Option<Effect> {
        if self.has(Stage::Stopping) {
            return None;
        }
        let declared = &self.declared;
        let surplus = self
            .present
            .iter_mut()
            .rev()
            .find(|(name, _)| !declared.contains(name));
        if let Some((name, stage)) = surplus {
            *stage = Stage::Stopping;
            return Some(Effect::Stop(name.clone()));
        }
        if self.has(Stage::Starting) {
            return None;
        }
        let missing = |name: &&String| !self.present.iter().any(|(other, _)| other == *name);
        let next = self.declared.iter().find(missing)?.clone();
        self.present.push((next.clone(), Stage::Starting));
        Some(Effect::Start(next))
    }

    fn has(&self, stage: Stage) -> bool {
        self.present.iter().any(|(_, other)| *other == stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Obeys every effect at once and writes down what was done.
    fn run(plan: Plan, declared: &[&str]) -> (Plan, String) {
        let names = declared.iter().map(|name| (*name).to_owned()).collect();
        let (mut plan, mut ahead) = plan.step(Input::Declared(names));
        let mut done = Vec::new();
        while !ahead.is_empty() {
            let effect = ahead.remove(0);
            let answer = match &effect {
                Effect::Start(name) => {
                    done.push(format!("+{name}"));
                    Input::Up(name.clone())
                }
                Effect::Stop(name) => {
                    done.push(format!("-{name}"));
                    Input::Gone(name.clone())
                }
                Effect::Forget(_) => continue,
            };
            let (next, more) = plan.step(answer);
            plan = next;
            ahead.extend(more);
        }
        (plan, done.join(" "))
    }

    #[test]
    fn daemons_start_in_the_declared_order_and_end_in_reverse() {
        let (plan, done) = run(Plan::default(), &["a.1", "b.2", "c.3"]);
        assert_eq!(done, "+a.1 +b.2 +c.3");
        let (plan, done) = run(plan, &["a.1", "b.2", "c.3"]);
        assert_eq!(done, "", "declared again is nothing new");
        let (plan, done) = run(plan, &[]);
        assert_eq!(done, "-c.3 -b.2 -a.1");
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn one_that_changed_is_ended_before_its_new_form_starts_and_the_others_stay() {
        let (plan, _) = run(Plan::default(), &["a.1", "b.2"]);
        let (_, done) = run(plan, &["a.3", "b.2"]);
        assert_eq!(done, "-a.1 +a.3");
    }

    #[test]
    fn the_next_waits_until_the_one_before_it_has_been_up() {
        let names = vec!["a.1".to_owned(), "b.2".to_owned()];
        let (plan, effects) = Plan::default().step(Input::Declared(names));
        assert_eq!(effects, [Effect::Start("a.1".to_owned())]);
        let (plan, effects) = plan.step(Input::Up("other.9".to_owned()));
        assert!(effects.is_empty());
        let (_, effects) = plan.step(Input::Up("a.1".to_owned()));
        assert_eq!(effects, [Effect::Start("b.2".to_owned())]);
    }

    #[test]
    fn one_at_a_time_is_ended_and_nothing_is_started_meanwhile() {
        let (plan, _) = run(Plan::default(), &["a.1", "b.2"]);
        let (plan, effects) = plan.step(Input::Declared(vec!["c.3".to_owned()]));
        assert_eq!(effects, [Effect::Stop("b.2".to_owned())]);
        let (plan, effects) = plan.step(Input::Declared(vec!["c.3".to_owned()]));
        assert!(effects.is_empty());
        let (_, effects) = plan.step(Input::Gone("b.2".to_owned()));
        let next = [
            Effect::Forget("b.2".to_owned()),
            Effect::Stop("a.1".to_owned()),
        ];
        assert_eq!(effects, next);
    }

    #[test]
    fn what_a_core_before_this_one_left_and_nobody_declares_is_ended() {
        let left = vec![("x.1".to_owned(), Stage::Up), ("y.2".to_owned(), Stage::Up)];
        let (_, done) = run(Plan::beginning_with(left), &["y.2", "z.3"]);
        assert_eq!(done, "-x.1 +z.3");
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_no_news_for_the_plan() {
        let (plan, _) = run(Plan::default(), &["a.1"]);
        assert_eq!(
            plan.clone().step(Input::Gone("a.1".to_owned())),
            (plan, vec![])
        );
    }
}
