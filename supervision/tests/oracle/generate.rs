//! A script from a seed.
//!
//! Everything that OTP would refuse, or that would not be the same twice, is kept out here:
//! permanent children are never significant (ours cannot even write it), and only a deaf worker is
//! given a shutdown time short enough to run out. Only the root has stillborn children: a supervisor
//! below would restart its own while the root goes on, and who is first is chance, in OTP too. Where
//! children are independent, one of them at a time is stillborn, and then alone.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::script::{
    Act, Auto, Child, Exit, Kind, Name, Restart, Rules, Script, Shape, Shutdown, Start, Step, Sup,
    Type,
};

pub(crate) fn script(seed: u64) -> Script {
    let mut make = Make(StdRng::seed_from_u64(seed));
    let root = make.sup("r", true);
    let mut late = Vec::new();
    let sups: Vec<_> = root.sups().into_iter().cloned().collect();
    for sup in &sups {
        let count = if sup.shape.is_dynamic() { 3 } else { 1 };
        for n in 0..make.0.random_range(0..=count) {
            let may_nest = sup.name == "r";
            late.push(make.child(&format!("{}x{n}", sup.name), sup, may_nest));
        }
    }
    let mut script = Script {
        seed,
        root,
        late,
        steps: Vec::new(),
    };
    script.steps = make.steps(&script);
    script
}

struct Make(StdRng);

impl Make {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0)
            .expect("a choice of something")
            .clone()
    }

    fn sup(&mut self, name: &str, may_nest: bool) -> Sup {
        let auto = self.one_of(&[Auto::Never, Auto::Never, Auto::Any, Auto::All]);
        let shape = match self.0.random_range(0..10) {
            0..=2 => Shape::OneForOne,
            3..=5 => Shape::OneForAll,
            6..=8 => Shape::RestForOne,
            _ => {
                let kind = self.one_of(&[Type::Worker, Type::Worker, Type::Supervisor]);
                let kind = if may_nest { kind } else { Type::Worker };
                Shape::Dynamic(self.rules(auto, kind), kind)
            }
        };
        let mut sup = Sup {
            name: name.to_owned(),
            shape,
            intensity: self.one_of(&[0, 1, 1, 2, 2, 3, 4, 6]),
            auto,
            children: Vec::new(),
        };
        if !shape.is_dynamic() {
            for n in 0..self.0.random_range(0..=4) {
                let child = self.child(&format!("{name}{n}"), &sup, may_nest);
                sup.children.push(child);
            }
        }
        sup
    }

    fn rules(&mut self, auto: Auto, kind: Type) -> Rules {
        let restart = self.one_of(&[
            Restart::Permanent,
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Transient,
            Restart::Temporary,
        ]);
        let significant = restart != Restart::Permanent && auto != Auto::Never && self.chance(60);
        let shutdown = match kind {
            // A supervisor that is killed leaves its children to chance, in OTP as well.
            Type::Supervisor => self.one_of(&[Shutdown::Infinity, Shutdown::Millis(60_000)]),
            Type::Worker => self.one_of(&[
                Shutdown::Brutal,
                Shutdown::Millis(60_000),
                Shutdown::Millis(60_000),
                Shutdown::Infinity,
            ]),
        };
        Rules {
            restart,
            significant,
            shutdown,
        }
    }

    fn child(&mut self, name: &str, of: &Sup, may_nest: bool) -> Child {
        let kind = match of.shape {
            Shape::Dynamic(_, kind) => kind,
            _ if may_nest && self.chance(30) => Type::Supervisor,
            _ => Type::Worker,
        };
        let mut rules = match of.shape {
            Shape::Dynamic(rules, _) => rules,
            _ => self.rules(of.auto, kind),
        };
        // Significant where nothing is: to be refused. Not under a dynamic supervisor, since OTP's
        // looks at its template before there is any child.
        let wrong = if name.contains('x') { 12 } else { 1 };
        if !of.shape.is_dynamic() && rules.restart != Restart::Permanent && self.chance(wrong) {
            rules.significant = true;
        }
        let kind = match kind {
            Type::Supervisor => Kind::Sup(self.sup(name, false)),
            Type::Worker => {
                let deaf = match rules.shutdown {
                    Shutdown::Brutal => self.chance(30),
                    Shutdown::Millis(_) if !of.shape.is_dynamic() => self.chance(10),
                    Shutdown::Millis(_) | Shutdown::Infinity => false,
                };
                if deaf && rules.shutdown != Shutdown::Brutal {
                    rules.shutdown = Shutdown::Millis(1);
                }
                let may_die = may_nest && (!of.shape.is_independent() || name.ends_with('0'));
                let mut starts: Vec<_> = (0..self.0.random_range(0..4))
                    .map(|_| self.start(may_die))
                    .collect();
                // A tree that does not come up shows nothing else.
                if let Some(first) = starts.first_mut()
                    && self.chance(75)
                {
                    *first = Start::Up;
                }
                let then = match self.0.random_range(0..20) {
                    0 if !starts.is_empty() => Start::Fail,
                    1 => Start::Ignore,
                    _ => Start::Up,
                };
                Kind::Worker { deaf, starts, then }
            }
        };
        Child {
            name: name.to_owned(),
            rules,
            kind,
        }
    }

    fn start(&mut self, may_die: bool) -> Start {
        match self.0.random_range(0..40) {
            0..=5 => Start::Fail,
            6..=7 => Start::Ignore,
            8..=12 if may_die => Start::Die(self.exit()),
            _ => Start::Up,
        }
    }

    fn exit(&mut self) -> Exit {
        self.one_of(&[
            Exit::Normal,
            Exit::Normal,
            Exit::Shutdown,
            Exit::ShutdownNote,
            Exit::Abnormal,
            Exit::Abnormal,
            Exit::Abnormal,
            Exit::Crash,
            Exit::Kill,
        ])
    }

    fn steps(&mut self, script: &Script) -> Vec<Step> {
        let nested: Vec<Name> = script.sups()[1..]
            .iter()
            .map(|sup| sup.name.clone())
            .collect();
        (0..self.0.random_range(1..16))
            .map(|_| match self.0.random_range(0..20) {
                0..=2 => self.batch(script),
                3 if !nested.is_empty() => Step::Kill(self.one_of(&nested)),
                4 if !nested.is_empty() => Step::Stop(self.one_of(&nested)),
                _ => {
                    let sup = self.any_sup(script);
                    Step::One(self.act(script, &sup, 70))
                }
            })
            .collect()
    }

    fn any_sup(&mut self, script: &Script) -> Sup {
        let sups: Vec<Sup> = script.sups().into_iter().cloned().collect();
        self.one_of(&sups)
    }

    /// One supervisor, several things. Where children are independent, each of them has one thing
    /// happen to it, because commands about one child would overtake each other's effects, and none
    /// of them is a supervisor or stillborn, whose start takes long and may be given up halfway
    /// (`Deviation::IndependentChildrenDoNotWait`).
    fn batch(&mut self, script: &Script) -> Step {
        let sup = self.any_sup(script);
        let mut acts: Vec<Act> = Vec::new();
        for _ in 0..self.0.random_range(2..5) {
            let act = self.act(script, &sup, 60);
            let again = acts.iter().any(|earlier| earlier.child() == act.child());
            // A worker dies in one go; a supervisor below would need several, so that others
            // would see it half gone.
            let mine = !act.is_exit() || children_of(script, &sup).contains(act.child());
            let nested = script.sup(act.child()).is_some();
            let takes_long = nested || is_stillborn(script, act.child());
            if mine && !((again || takes_long) && sup.shape.is_independent()) {
                acts.push(act);
            }
        }
        Step::Batch(sup.name, acts)
    }

    fn act(&mut self, script: &Script, sup: &Sup, exits: u32) -> Act {
        let names = children_of(script, sup);
        let mut workers: Vec<Name> = Vec::new();
        for child in script.children() {
            if names.contains(&child.name) && matches!(child.kind, Kind::Worker { .. }) {
                workers.push(child.name.clone());
            }
        }
        if !workers.is_empty() && self.chance(exits) {
            return Act::Exit(self.one_of(&workers), self.exit());
        }
        let late: Vec<Name> = names
            .iter()
            .filter(|name| script.late(name).is_some())
            .cloned()
            .collect();
        if !late.is_empty() && (self.chance(40) || sup.shape.is_dynamic() && self.chance(60)) {
            return Act::Add(sup.name.clone(), self.one_of(&late));
        }
        // Now and then someone asks for a child that never was.
        let child = match names.is_empty() || self.chance(3) {
            true => "nobody".to_owned(),
            false => self.one_of(&names),
        };
        match self.0.random_range(0..3) {
            0 => Act::Terminate(sup.name.clone(), child),
            1 => Act::Restart(sup.name.clone(), child),
            _ => Act::Delete(sup.name.clone(), child),
        }
    }
}

/// Names of the direct children that `sup` has or may be given.
fn children_of(script: &Script, sup: &Sup) -> Vec<Name> {
    let late = script.late.iter().filter(|child| {
        child
            .name
            .strip_prefix(sup.name.as_str())
            .is_some_and(|rest| rest.starts_with('x'))
    });
    sup.children
        .iter()
        .chain(late)
        .map(|child| child.name.clone())
        .collect()
}

fn is_stillborn(script: &Script, name: &str) -> bool {
    script.children().iter().any(|child| match &child.kind {
        Kind::Worker { starts, .. } if child.name == name => {
            starts.iter().any(|start| matches!(start, Start::Die(_)))
        }
        Kind::Worker { .. } | Kind::Sup(_) => false,
    })
}
