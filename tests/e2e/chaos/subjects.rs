//! The services that are killed: copies of `hello`, whose JavaScript sleeps when it has nothing to do, and `miniflux`
//! with its PostgreSQL, whose does not.

use std::{fs, path::PathBuf};

use serde_json::json;

use super::model::{Fate, Model};
use crate::{
    clones::renamed,
    processes::{Process, number_inside, told_at_start},
    server::Server,
    world::World,
};

/// After how many quiet seconds JavaScript sleeps: so few that it does in the middle of a round, too.
const QUIET: u32 = 1;

/// Names for copies.
const TREES: [&str; 4] = ["aspen", "birch", "cedar", "douglas"];

/// One service.
#[derive(Debug)]
pub(super) struct Subject {
    id: &'static str,
    file: PathBuf,
    /// Its processes that live as long as it runs, as they are called.
    daemons: &'static [&'static str],
    /// What records call them: their subcontainer, or the program once a new core has forgotten that.
    recorded: &'static [&'static str],
    checks: usize,
}

impl Subject {
    pub(super) fn id(&self) -> &str {
        self.id
    }

    pub(super) fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Whether it has a page whose words can be set.
    pub(super) fn greets(&self) -> bool {
        self.daemons == ["hello"]
    }

    pub(super) const fn daemons(&self) -> &'static [&'static str] {
        self.daemons
    }

    /// What records may call a death among them.
    pub(super) const fn recorded(&self) -> &'static [&'static str] {
        self.recorded
    }

    /// Whether its JavaScript sleeps while it runs.
    pub(super) fn sleeps(&self) -> bool {
        self.greets()
    }

    /// Health checks it has while it runs.
    pub(super) const fn checks(&self) -> usize {
        self.checks
    }

    pub(super) fn host(&self) -> String {
        format!("{}-coppice.local", self.id)
    }
}

/// The processes of a service that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Population {
    pub(super) agents: Vec<Process>,
    pub(super) monitors: Vec<Process>,
    pub(super) nodes: Vec<Process>,
    pub(super) daemons: Vec<Process>,
    /// What is none of these, as it is called.
    pub(super) others: Vec<Process>,
}

impl Population {
    pub(super) fn of(server: &Server, id: &str, daemons: &[&str]) -> Self {
        let mut found = Self {
            monitors: server.monitors(id),
            ..Self::default()
        };
        for process in server.processes(id) {
            // The agent itself; what it keeps ready for a daemon's next start is called so, too.
            let place = if process.name == "coppice-agent" && number_inside(&process) == Some(1) {
                &mut found.agents
            } else if process.name == "node" {
                &mut found.nodes
            } else if daemons.contains(&process.name.as_str()) {
                &mut found.daemons
            } else {
                &mut found.others
            };
            place.push(process);
        }
        found
    }
}

/// Installs and starts the services.
pub(super) fn plant(world: &mut World, clones: usize, database: bool) -> Vec<Subject> {
    world.sleeps_after(QUIET);
    let folder = world.scratch.path("chaos");
    fs::create_dir_all(&folder).unwrap();
    let mut subjects: Vec<Subject> = TREES[..clones]
        .iter()
        .map(|id| {
            let file = folder.join(format!("{id}.s9pk"));
            fs::write(&file, renamed(&World::example("hello"), id)).unwrap();
            Subject {
                id,
                file,
                daemons: &["hello"],
                recorded: &["daemon server", "daemon hello"],
                checks: 1,
            }
        })
        .collect();
    for subject in &subjects {
        world.server.cli(&["package", "install", subject.file()]);
        world.server.cli(&["service", "start", subject.id]);
    }
    if database {
        subjects.push(with_database(world));
    }
    subjects
}

fn with_database(world: &World) -> Subject {
    let file = World::example("miniflux");
    let server = &world.server;
    if !world.is_installed("miniflux") {
        server.cli(&["package", "install", file.to_str().unwrap()]);
        let account = json!({ "username": "admin", "password": "an-elm-on-a-hill" }).to_string();
        server.cli(&[
            "action",
            "run",
            "miniflux",
            "set-admin",
            "--input",
            &account,
        ]);
    }
    server.cli(&["service", "start", "miniflux"]);
    Subject {
        id: "miniflux",
        file,
        daemons: &["postgres", "miniflux"],
        recorded: &["daemon postgres", "daemon miniflux"],
        checks: 2,
    }
}

/// Removes the copies; what is left sleeps no more.
pub(super) fn clear(world: &mut World, subjects: &[Subject], model: &Model) {
    for (number, subject) in subjects.iter().enumerate() {
        if subject.greets() && *model.fate(number) != Fate::Absent {
            world.server.cli(&["package", "uninstall", subject.id]);
        }
    }
    world.sleeps_after(0);
}

/// Which generation of a service's Node this is.
pub(super) fn generation(node: &Process) -> Option<u64> {
    told_at_start(node, "COPPICE_GENERATION")?.parse().ok()
}
