//! What a script is made of, and how it is told to people and to Erlang.
//!
//! A script is a tree of at most two levels of supervisors, children that may be added later, what
//! each worker does when it is started, and the steps. Invariant: a name stands for one child.

use std::fmt::{self, Display, Write};

/// A name, unique in its script.
pub(crate) type Name = String;

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) root: Sup,
    /// Children for [`Act::Add`].
    pub(crate) late: Vec<Child>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Sup {
    pub(crate) name: Name,
    pub(crate) shape: Shape,
    pub(crate) intensity: u32,
    pub(crate) auto: Auto,
    /// None under a dynamic supervisor, which gets its children by command.
    pub(crate) children: Vec<Child>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    OneForOne,
    OneForAll,
    RestForOne,
    /// With what holds for every child: OTP's knows one spec only.
    Dynamic(Rules, Type),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auto {
    Never,
    Any,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Worker,
    Supervisor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    pub(crate) shutdown: Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Brutal,
    Millis(u32),
    Infinity,
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: Name,
    pub(crate) rules: Rules,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Worker {
        /// Does not hear that it shall stop.
        deaf: bool,
        /// What its first starts do, and what all later ones do.
        starts: Vec<Start>,
        then: Start,
    },
    Sup(Sup),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Up,
    Fail,
    Ignore,
    /// Comes up, and has ended before its supervisor looks again.
    Die(Exit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Normal,
    Shutdown,
    /// With a reason of its own.
    ShutdownNote,
    Abnormal,
    /// A panic in ours, an error in Erlang.
    Crash,
    Kill,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    One(Act),
    /// All of it happens to this supervisor before it looks at any of it.
    Batch(Name, Vec<Act>),
    /// Kills a supervisor.
    Kill(Name),
    /// Shuts a supervisor down behind its parent's back.
    Stop(Name),
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Exit(Name, Exit),
    Terminate(Name, Name),
    Restart(Name, Name),
    Delete(Name, Name),
    /// Adds the late child of this name.
    Add(Name, Name),
}

impl Act {
    /// The child it is about.
    pub(crate) fn child(&self) -> &Name {
        match self {
            Act::Exit(child, _)
            | Act::Terminate(_, child)
            | Act::Restart(_, child)
            | Act::Delete(_, child)
            | Act::Add(_, child) => child,
        }
    }

    pub(crate) fn is_exit(&self) -> bool {
        matches!(self, Act::Exit(..))
    }
}

impl Shape {
    /// Whether its children have nothing to do with each other.
    pub(crate) fn is_independent(self) -> bool {
        matches!(self, Shape::OneForOne | Shape::Dynamic(..))
    }

    pub(crate) fn is_dynamic(self) -> bool {
        matches!(self, Shape::Dynamic(..))
    }
}

impl Sup {
    /// This supervisor and those below it.
    pub(crate) fn sups(&self) -> Vec<&Sup> {
        let below = self.children.iter().flat_map(|child| child.sups());
        std::iter::once(self).chain(below).collect()
    }
}

impl Child {
    fn sups(&self) -> Vec<&Sup> {
        match &self.kind {
            Kind::Sup(sup) => sup.sups(),
            Kind::Worker { .. } => Vec::new(),
        }
    }

    /// This child and all below it.
    pub(crate) fn and_below(&self) -> Vec<&Child> {
        let below = match &self.kind {
            Kind::Sup(sup) => sup.children.iter().flat_map(Child::and_below).collect(),
            Kind::Worker { .. } => Vec::new(),
        };
        std::iter::once(self).chain(below).collect()
    }
}

impl Script {
    /// Every supervisor that may ever be, root first.
    pub(crate) fn sups(&self) -> Vec<&Sup> {
        let late = self.late.iter().flat_map(Child::sups);
        self.root.sups().into_iter().chain(late).collect()
    }

    /// Every child that may ever be.
    pub(crate) fn children(&self) -> Vec<&Child> {
        let all = self.root.children.iter().chain(&self.late);
        all.flat_map(Child::and_below).collect()
    }

    pub(crate) fn sup(&self, name: &str) -> Option<&Sup> {
        self.sups().into_iter().find(|sup| sup.name == name)
    }

    pub(crate) fn late(&self, name: &str) -> Option<&Child> {
        self.late.iter().find(|child| child.name == name)
    }

    /// What is in it, in words, for the tally.
    pub(crate) fn features(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for sup in self.sups() {
            found.push(match sup.shape {
                Shape::OneForOne => "one_for_one in the tree",
                Shape::OneForAll => "one_for_all in the tree",
                Shape::RestForOne => "rest_for_one in the tree",
                Shape::Dynamic(_, Type::Worker) => "dynamic over workers in the tree",
                Shape::Dynamic(_, Type::Supervisor) => "dynamic over supervisors in the tree",
            });
            match sup.auto {
                Auto::Never => {}
                Auto::Any => found.push("auto_shutdown any_significant in the tree"),
                Auto::All => found.push("auto_shutdown all_significant in the tree"),
            }
        }
        for child in self.children() {
            if let Kind::Worker { deaf, starts, .. } = &child.kind {
                if *deaf {
                    found.push("a deaf worker in the tree");
                }
                if starts.iter().any(|start| matches!(start, Start::Die(_))) {
                    found.push("a stillborn worker in the tree");
                }
            }
        }
        for step in &self.steps {
            found.push(match step {
                Step::One(_) => "one thing at a time",
                Step::Batch(..) => "several things at once",
                Step::Kill(_) => "a supervisor is killed",
                Step::Stop(_) => "a supervisor is shut down behind its parent's back",
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn atoms<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(",")
}

impl Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        })
    }
}

/// As in a child spec: `transient,true,5000`.
impl Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},", self.restart, self.significant)?;
        match self.shutdown {
            Shutdown::Brutal => f.write_str("brutal_kill"),
            Shutdown::Millis(millis) => write!(f, "{millis}"),
            Shutdown::Infinity => f.write_str("infinity"),
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::OneForOne => f.write_str("one_for_one"),
            Shape::OneForAll => f.write_str("one_for_all"),
            Shape::RestForOne => f.write_str("rest_for_one"),
            Shape::Dynamic(rules, Type::Worker) => write!(f, "{{dynamic,{rules},worker}}"),
            Shape::Dynamic(rules, Type::Supervisor) => write!(f, "{{dynamic,{rules},supervisor}}"),
        }
    }
}

impl Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exit::Normal => "normal",
            Exit::Shutdown => "shutdown",
            Exit::ShutdownNote => "{shutdown,because}",
            Exit::Abnormal => "bad",
            Exit::Crash => "crash",
            Exit::Kill => "kill",
        })
    }
}

impl Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Up => f.write_str("ok"),
            Start::Fail => f.write_str("fail"),
            Start::Ignore => f.write_str("ignore"),
            Start::Die(exit) => write!(f, "{{die,{exit}}}"),
        }
    }
}

impl Display for Sup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auto = match self.auto {
            Auto::Never => "never",
            Auto::Any => "any_significant",
            Auto::All => "all_significant",
        };
        let children = atoms(&self.children, Child::to_string);
        let Self {
            name,
            shape,
            intensity,
            ..
        } = self;
        write!(f, "{{{name},{shape},{intensity},{auto},[{children}]}}")
    }
}

impl Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{},{},", self.name, self.rules)?;
        match &self.kind {
            Kind::Worker { deaf, .. } => write!(f, "{{worker,{deaf}}}}}"),
            Kind::Sup(sup) => write!(f, "{{supervisor,{sup}}}}}"),
        }
    }
}

impl Script {
    pub(crate) fn act_term(&self, act: &Act) -> String {
        match act {
            Act::Exit(child, exit) => format!("{{exit,{child},{exit}}}"),
            Act::Terminate(sup, child) => format!("{{terminate,{sup},{child}}}"),
            Act::Restart(sup, child) => format!("{{restart,{sup},{child}}}"),
            Act::Delete(sup, child) => format!("{{delete,{sup},{child}}}"),
            Act::Add(sup, child) => {
                let child = self.late(child).expect("only late children are added");
                format!("{{add,{sup},{child}}}")
            }
        }
    }

    pub(crate) fn step_term(&self, step: &Step) -> String {
        match step {
            Step::One(act) => self.act_term(act),
            Step::Batch(sup, acts) => {
                format!(
                    "{{batch,{sup},[{}]}}",
                    atoms(acts, |act| self.act_term(act))
                )
            }
            Step::Kill(sup) => format!("{{kill,{sup}}}"),
            Step::Stop(sup) => format!("{{stop,{sup}}}"),
        }
    }

    /// What each worker does when it is started.
    pub(crate) fn plans(&self) -> Vec<String> {
        let plan = |child: &Child| match &child.kind {
            Kind::Worker { starts, then, .. } => {
                let starts = atoms(starts, Start::to_string);
                Some(format!("{{{},{{[{starts}],{then}}}}}", child.name))
            }
            Kind::Sup(_) => None,
        };
        self.children().into_iter().filter_map(plan).collect()
    }
}

/// For people: one line for each thing.
impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for sup in self.sups() {
            let (Sup { name, shape, .. }, per) = (sup, sup.intensity);
            let _ = writeln!(text, "{name}: {shape}, intensity {per}, {:?}", sup.auto);
            for child in &sup.children {
                let _ = writeln!(text, "    {}: {}", child.name, child.rules);
            }
        }
        for child in &self.late {
            let _ = writeln!(text, "late {}: {}", child.name, child.rules);
        }
        for child in self.children() {
            if let Kind::Worker { deaf, starts, then } = &child.kind
                && (*deaf || !starts.is_empty() || *then != Start::Up)
            {
                let deaf = if *deaf { "deaf, " } else { "" };
                let starts = atoms(starts, Start::to_string);
                let _ = writeln!(text, "{}: {deaf}starts [{starts}], then {then}", child.name);
            }
        }
        let _ = writeln!(text, "step 0 starts the tree");
        for (n, step) in self.steps.iter().enumerate() {
            let _ = writeln!(text, "step {}: {}", n + 1, self.step_term(step));
        }
        f.write_str(&text)
    }
}
