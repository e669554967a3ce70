//! What must hold when all is quiet, looked at from outside.

use std::{collections::BTreeMap, fmt::Write as _, fs, time::Duration};

use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{
    model::{Fate, Model},
    records,
    strike::Dealt,
    subjects::{Population, Subject, generation},
};
use crate::{
    processes::{self, Process},
    traces::Traces,
    until::patiently,
    world::World,
};

/// How long the machine may take, from the last blow until everything is as it should be. Packages wait
/// longer after every death of their daemon, supervisors after every failure: up to half a minute each.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// What takes longer is said to have done so.
const WORTH_A_WORD: Duration = Duration::from_secs(10);

/// Processes that stay while their service does, of every package here.
const LASTING: [&str; 4] = ["hello", "miniflux", "postgres", "syncthing"];

/// A service as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) population: Population,
    /// Which generation of its Node lives, or sleeps.
    generation: Option<u64>,
    sleeps: bool,
    pub(super) records: Vec<Value>,
}

impl Seen {
    /// Whether the process was one of those that last.
    pub(super) fn has(&self, process: &Process) -> bool {
        let Population {
            agents,
            monitors,
            nodes,
            daemons,
            others: _,
        } = &self.population;
        [agents, monitors, nodes, daemons]
            .iter()
            .any(|place| place.contains(process))
    }
}

/// Everything that is installed, when all was quiet.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    services: BTreeMap<String, Seen>,
    pub(super) census: Census,
}

/// How many traces there are of each kind: those that differ in a number are of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Census(BTreeMap<String, usize>);

impl Census {
    fn of(traces: &Traces) -> Self {
        let mut counts = BTreeMap::new();
        // Logs grow with every run of a service; how far is the agent's business.
        for line in traces.0.iter().filter(|line| !line.contains("/logs")) {
            *counts.entry(kind(line)).or_default() += 1;
        }
        Self(counts)
    }

    /// What there is more of than in `whole`.
    fn beyond(&self, whole: &Self) -> Vec<String> {
        let before = |kind: &String| whole.0.get(kind).copied().unwrap_or_default();
        self.0
            .iter()
            .filter(|(kind, count)| **count > before(kind))
            .map(|(kind, count)| {
                format!("left behind: {kind}: {count} instead of {}", before(kind))
            })
            .collect()
    }
}

/// The line with every word that has a digit in it made the same.
fn kind(line: &str) -> String {
    let mut kind = String::new();
    for word in line.split_inclusive(|sign: char| !sign.is_ascii_alphanumeric()) {
        let (word, end) = match word.chars().next_back() {
            Some(end) if !end.is_ascii_alphanumeric() => word.split_at(word.len() - end.len_utf8()),
            _ => (word, ""),
        };
        let numbered = word.chars().any(|sign| sign.is_ascii_digit());
        kind += if numbered { "#" } else { word };
        kind += end;
    }
    kind
}

impl Settled {
    pub(super) fn of(&self, id: &str) -> Option<&Seen> {
        self.services.get(id)
    }

    /// Whether all JavaScript sleeps that can.
    pub(super) fn sleeps(&self, subjects: &[Subject], model: &Model) -> Result<(), String> {
        let awake = subjects.iter().enumerate().find(|(number, subject)| {
            let can = subject.sleeps() && model.fate(*number).runs();
            can && !self.of(subject.id()).is_some_and(|seen| seen.sleeps)
        });
        match awake {
            Some((_, subject)) => Err(format!("`{}` is awake", subject.id())),
            None => Ok(()),
        }
    }

    /// Waits until all that must hold does, and gives that and what `more` says of it. The model then knows
    /// how the services are. `whole` is how much there is when every service runs.
    pub(super) fn wait<T>(
        world: &mut World,
        subjects: &[Subject],
        model: &mut Model,
        whole: Option<&Census>,
        more: impl Fn(&Self) -> Result<T, String>,
    ) -> (Self, T) {
        world.server.answers();
        let began = Mono::now();
        let mut complaints = String::new();
        let looked = patiently(SETTLED_WITHIN, Duration::from_millis(50), || {
            let look = look(world, subjects, model, whole)
                .and_then(|(settled, fates)| Ok((more(&settled)?, settled, fates)));
            look.map_err(|words| complaints = words).ok()
        });
        let Some((more, settled, fates)) = looked else {
            panic!("not as it must be after {SETTLED_WITHIN:?}:\n{complaints}");
        };
        if Mono::now().since(began) > WORTH_A_WORD {
            println!("       the last thing waited for: {complaints}");
        }
        for (number, fate) in fates.into_iter().enumerate() {
            model.found(number, fate);
        }
        (settled, more)
    }
}

fn look(
    world: &World,
    subjects: &[Subject],
    model: &Model,
    whole: Option<&Census>,
) -> Result<(Settled, Vec<Fate>), String> {
    let list = world.server.json(&["service", "list"]);
    let document = world.server.json(&["db", "dump", "/public/packageData"])["value"].clone();
    let mut fates = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        fates.push(fate(
            world,
            subject,
            model.possible(number),
            &list,
            &document,
        )?);
    }
    zombies(world)?;
    let traces = Traces::of(&world.server);
    for (subject, fate) in subjects.iter().zip(&fates) {
        let named = traces.naming(subject.id());
        if *fate == Fate::Absent && !named.is_empty() {
            return Err(format!("`{}` has left {named:#?}", subject.id()));
        }
    }
    let census = Census::of(&traces);
    let beyond = whole.map(|whole| census.beyond(whole)).unwrap_or_default();
    if !beyond.is_empty() {
        return Err(beyond.join("\n"));
    }
    let mut services = BTreeMap::new();
    for service in list.as_array().into_iter().flatten() {
        let id = service["id"].as_str().unwrap();
        let population = Population::of(&world.server, id, &LASTING);
        let asleep = document[id]["asleep"]["generation"].as_u64();
        // One of ours fell asleep, or woke, between the two looks.
        let is_subject = subjects.iter().any(|subject| subject.id() == id);
        if is_subject && asleep.is_some() != population.nodes.is_empty() {
            return Err(format!(
                "`{id}` sleeps: {asleep:?}, and of it these live: {population:#?}"
            ));
        }
        let seen = Seen {
            generation: asleep.or_else(|| population.nodes.first().and_then(generation)),
            sleeps: asleep.is_some(),
            population,
            records: records::all(&world.server.json(&["service", "why", id])),
        };
        services.insert(id.to_owned(), seen);
    }
    let settled = Settled { services, census };
    Ok((settled, fates))
}

/// Which of the possible fates is so.
fn fate(
    world: &World,
    subject: &Subject,
    possible: &[Fate],
    list: &Value,
    document: &Value,
) -> Result<Fate, String> {
    let mut complaints = String::new();
    for fate in possible {
        match is_so(world, subject, fate, list, document) {
            Ok(()) => return Ok(fate.clone()),
            Err(why) => {
                let _ = writeln!(complaints, "`{}` is not {fate:?}: {why}", subject.id());
            }
        }
    }
    Err(complaints)
}

fn is_so(
    world: &World,
    subject: &Subject,
    fate: &Fate,
    list: &Value,
    document: &Value,
) -> Result<(), String> {
    let id = subject.id();
    let shown = list
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["id"] == id);
    let population = Population::of(&world.server, id, subject.daemons());
    let Fate::Present { runs, greeting } = fate else {
        return match shown {
            Some(shown) => Err(format!("it is shown: {shown:#}")),
            None if population == Population::default() => Ok(()),
            None => Err(format!("of it these live: {population:#?}")),
        };
    };
    let (word, entry) = (if *runs { "running" } else { "stopped" }, &document[id]);
    let status = &entry["statusInfo"];
    let shown = shown.ok_or("it is not installed")?;
    if status["desired"] != json!({ "main": word }) {
        return Err(format!("what is wanted of it is {}", status["desired"]));
    }
    if shown["status"] != word {
        return Err(format!("it is shown as {shown:#}"));
    }
    let checks: Vec<&Value> = status["health"]
        .as_object()
        .into_iter()
        .flat_map(|checks| checks.values())
        .collect();
    let wanted = if *runs { subject.checks() } else { 0 };
    if checks.len() != wanted || checks.iter().any(|check| check["result"] != "success") {
        return Err(format!("its checks are {checks:#?}"));
    }
    let sleeps = !entry["asleep"].is_null();
    if sleeps && !(*runs && subject.sleeps()) {
        return Err(format!("it sleeps: {}", entry["asleep"]));
    }
    lives(&population, subject, *runs, sleeps)?;
    if let Some(greeting) = greeting {
        says(world, subject, *runs, greeting)?;
    }
    Ok(())
}

/// One of each, but no Node where that sleeps; or, of a stopped service, only what waits for its start.
fn lives(
    population: &Population,
    subject: &Subject,
    runs: bool,
    sleeps: bool,
) -> Result<(), String> {
    let Population {
        agents,
        monitors,
        nodes,
        daemons,
        others,
    } = population;
    let mut names: Vec<&str> = daemons
        .iter()
        .map(|process| process.name.as_str())
        .collect();
    let mut wanted = if runs {
        subject.daemons().to_vec()
    } else {
        Vec::new()
    };
    names.sort_unstable();
    wanted.sort_unstable();
    let one_each = agents.len() == 1 && monitors.len() == 1 && nodes.len() == usize::from(!sleeps);
    if one_each && names == wanted && (runs || others.is_empty()) {
        Ok(())
    } else {
        Err(format!("of it these live: {population:#?}"))
    }
}

fn says(world: &World, subject: &Subject, runs: bool, greeting: &str) -> Result<(), String> {
    let file = world
        .server
        .data
        .join(format!("services/{}/volumes/main/hello.conf", subject.id()));
    let kept = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !kept
        .lines()
        .any(|line| line.trim_matches('"') == format!("greeting={greeting}"))
    {
        return Err(format!("its volume says {kept:?}"));
    }
    if runs {
        let page = world
            .client()
            .get(&subject.host(), "/")
            .map_err(|failed| failed.to_string())?
            .text();
        if !page.contains(&format!("<h1>{greeting}</h1>")) {
            return Err(format!("its page says {page}"));
        }
    }
    Ok(())
}

/// Whoever ended was taken note of by its parent.
fn zombies(world: &World) -> Result<(), String> {
    let heart = world.server.heart().pid;
    let parents: Vec<i32> = ["core", "edge"]
        .iter()
        .filter_map(|role| processes::child(heart, role))
        .map(|process| process.pid)
        .chain([heart])
        .collect();
    let dead: Vec<i32> = processes::all()
        .filter(|pid| {
            processes::parent_of_ended(*pid).is_some_and(|parent| parents.contains(&parent))
        })
        .collect();
    if dead.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "processes {dead:?} have ended and nobody has asked how"
        ))
    }
}

/// Nothing happened to a service that nobody touched, whatever happened to Coppice.
pub(super) fn untouched(
    before: &Settled,
    after: &Settled,
    subjects: &[Subject],
    dealt: &Dealt,
) -> Result<(), String> {
    let touched = |id: &str| {
        let number = subjects.iter().position(|subject| subject.id() == id);
        number.is_some_and(|number| {
            dealt.asked(number).is_some() || dealt.on(number).next().is_some()
        })
    };
    for (id, old) in before.services.iter().filter(|(id, _)| !touched(id)) {
        let now = after.of(id).ok_or_else(|| format!("`{id}` is gone"))?;
        // One that sleeps is not woken for others' deaths, and its Node may have fallen asleep meanwhile.
        let lasting = |seen: &Seen| {
            let population = Population {
                others: Vec::new(),
                nodes: Vec::new(),
                ..seen.population.clone()
            };
            (population, seen.generation)
        };
        if lasting(old) != lasting(now) {
            return Err(format!(
                "`{id}` was not touched, and its processes are others: {:#?}, before: {:#?}",
                lasting(now),
                lasting(old)
            ));
        }
        if old.records.len() != now.records.len() {
            return Err(format!(
                "`{id}` was not touched, and has a new record: {:#?}",
                now.records.last()
            ));
        }
    }
    Ok(())
}
