//! The service trees, simulated: the shipped actors, state machines, jobs and supervisors, over a machine
//! whose clock, chance, sockets and containers are made up from one seed.
//!
//! ```text
//!  storm: commands at any time, everything slow or failing, actors and containers killed, the core cut
//!    │                                                    │ cut, or its forest ended
//!    │ some dozen events                                  ▼
//!    ▼                                            a new life on the same disk
//!  calm: nothing more goes wrong; every service must come to rest within the longest way there is
//!    │
//!    ▼ checked, and on to the next storm
//! ```
//!
//! Everything happens on one thread with tokio's paused time, so a seed gives one course of events; the
//! course is hashed, and a test runs one twice. A simulation has a process of its own ([`tests`]), since
//! tokio seeds the order in which it wakes those who wait for one value from a count of its runtimes.

pub(super) mod chance;
mod coverage;
pub(crate) mod exchange;
mod ground;
mod inhabitant;
mod life;
pub(crate) mod machine;
mod model;
mod recorder;
mod rest;
mod storm;
mod stray;
mod tests;
mod witness;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coppice_clock::Mono;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use self::{
    chance::Weather,
    ground::Ground,
    life::Core,
    machine::below,
    model::{Command, Model},
    recorder::Recorder,
    rest::{Rest, longest_way},
    storm::Storm,
    witness::Witness,
};
use super::{Fuse, package};

/// A machine acts on its deadline within this.
const SLACK_MS: u64 = 1_000;
/// What a service at rest may still have to write down.
const SETTLING: Duration = Duration::from_secs(5);
/// The versions of their packages, in their order.
const VERSIONS: [&str; 2] = ["1.0.0:0", "2.0.0:0"];
/// The services of a simulated server.
const SERVICES: [&str; 3] = ["acorn", "sapling", "seedling"];

/// What a simulation came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Outcome {
    steps: u64,
    /// One number for everything that happened, in its order and at its time.
    course: u64,
    /// How often which machine in which state got which input: `machine state input`.
    pairs: BTreeMap<String, u64>,
    /// How often a service came to which rest.
    rests: BTreeMap<Rest, u64>,
    /// How often which machine stood where when the calm began: `machine state`.
    left_from: BTreeMap<String, u64>,
    /// The longest way to a rest, in simulated seconds.
    slowest: u64,
    lives: u64,
    storms: u64,
    /// What was not as it must be, with the last of what happened.
    violation: Option<String>,
}

/// What outlives a life of the core.
struct World {
    folder: tempfile::TempDir,
    ground: Arc<Ground>,
    recorder: Recorder,
    model: Model,
    witness: Witness,
    /// Package files of each.
    packages: BTreeMap<&'static str, Files>,
    season: Season,
    outcome: Outcome,
}

/// The package files of a service, one per version. Data of the second is nothing for the first.
struct Files {
    whole: [PathBuf; 2],
    /// They look well and are not what was signed.
    broken: [PathBuf; 2],
}

impl Files {
    fn pack(folder: &Path, id: &str) -> Self {
        let pack = |version: &str| {
            package(id, version, |manifest| {
                let range = format!("<={version}");
                manifest["canMigrateFrom"] = range.into();
                manifest["canMigrateTo"] = "!".into();
            })
        };
        let write = |name: String, bytes: Vec<u8>| {
            let file = folder.join(name);
            fs::write(&file, bytes).unwrap();
            file
        };
        let whole = |version| write(format!("{id}-{version}.s9pk"), pack(version));
        let broken = |version| {
            let mut altered = pack(version);
            let body = b"hsqs, too";
            let at = altered.windows(body.len()).position(|one| one == body);
            altered[at.unwrap()] ^= 1;
            write(format!("{id}-{version}-broken.s9pk"), altered)
        };
        Self {
            whole: VERSIONS.map(whole),
            broken: VERSIONS.map(broken),
        }
    }
}

/// What the world is about.
#[derive(Clone, Copy, Debug)]
enum Season {
    /// So many events are ahead.
    Storm { ahead: u64 },
    /// Since when.
    Calm { since: Mono },
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A write was held back, or the process was killed.
    Cut,
    /// With everything else on the machine.
    PowerCut,
    /// The forest ended by itself.
    Forest,
    /// There is nothing left to simulate.
    Enough,
}

/// Simulates until at least so many steps were made and everything is at rest.
fn simulate(seed: u64, steps: u64) -> Outcome {
    machine::simulate(seed, || {
        let recorder = Recorder::default();
        let subscriber = recorder.clone();
        tracing::subscriber::with_default(subscriber, || World::new(recorder).run(steps))
    })
}

impl World {
    fn new(recorder: Recorder) -> Self {
        // In memory, where there is room: a flush costs nothing there.
        let memory = PathBuf::from("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let data = folder.path().join("data");
        for name in ["base", "services", "state", "secrets", "store"] {
            fs::create_dir_all(data.join(name)).unwrap();
        }
        let packages = SERVICES.map(|id| (id, Files::pack(folder.path(), id)));
        let model = Model::new(&data.join("services"));
        Self {
            ground: Ground::new(recorder.clone()),
            witness: Witness::new(model.clone()),
            folder,
            recorder,
            model,
            packages: packages.into(),
            season: Season::Storm { ahead: 20 },
            outcome: Outcome::default(),
        }
    }

    fn run(mut self, steps: u64) -> Outcome {
        loop {
            let end = self.live(steps);
            self.outcome.lives += 1;
            self.recorder.note(&format!("the core ended: {end:?}"));
            self.model.hangs_up();
            match end {
                End::PowerCut => self.ground.power_cut(),
                End::Cut | End::Forest => {}
                End::Enough => break,
            }
        }
        let record = self.recorder.read();
        self.outcome.steps = record.steps;
        self.outcome.course = record.course();
        self.outcome.pairs = record.pairs.clone();
        drop(record);
        self.outcome
    }

    fn live(&mut self, steps: u64) -> End {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let end = runtime.block_on(async {
            machine::begin_life();
            exchange::by(&self.ground.chance);
            let fuse = Fuse::beside(Some(self.ground.chance.clone()));
            let core = Core::plant(self.folder.path(), &self.ground, Arc::clone(&fuse)).await;
            let core = Arc::new(core);
            self.witness.begin(&core.host, &self.recorder);
            let end = tokio::select! {
                biased;
                () = fuse.blown() => End::Cut,
                () = self.forest_ended(&core) => End::Forest,
                end = self.seasons(&core, &fuse, steps) => end,
            };
            self.recorder.witnessed_by(None);
            core.part();
            machine::end_life(below(2_000));
            end
        });
        drop(runtime);
        end
    }

    /// Resolves when the forest is gone.
    fn forest_ended(&self, core: &Core) -> impl Future<Output = ()> + use<> {
        let root = core.root.actor().get_cell();
        async move {
            // No timeout, no error.
            let _ = root.wait(None).await;
        }
    }

    async fn seasons(&mut self, core: &Arc<Core>, fuse: &Arc<Fuse>, steps: u64) -> End {
        loop {
            match self.season {
                Season::Storm { ahead: 0 } => {
                    self.ground.chance.storm(false);
                    machine::fill_disk(false);
                    // Now and then one thing goes wrong for good: then it is parking that brings the rest.
                    let always: &[Weather] = match below(16) {
                        0 => &[Weather::InitFails],
                        1 => &[Weather::CreateFails],
                        _ => &[],
                    };
                    self.ground.chance.always(always);
                    self.leave();
                    self.season = Season::Calm { since: Mono::now() };
                    self.recorder.note("calm");
                }
                Season::Storm { ahead } => {
                    self.ground.chance.storm(true);
                    self.season = Season::Storm { ahead: ahead - 1 };
                    let storm = Storm {
                        core,
                        ground: &self.ground,
                        model: &self.model,
                        recorder: &self.recorder,
                        packages: &self.packages,
                        fuse,
                    };
                    if let Some(end) = storm.event().await {
                        return end;
                    }
                }
                Season::Calm { since } => {
                    if let Err(stuck) = self.come_to_rest(core, since).await {
                        self.recorder.violated(stuck);
                    }
                    if self.failed() || self.recorder.steps() >= steps {
                        return End::Enough;
                    }
                    self.outcome.storms += 1;
                    self.season = Season::Storm {
                        ahead: 1 + below(40),
                    };
                    let always: &[Weather] = match below(12) {
                        0 => &[Weather::InitFails],
                        1 => &[Weather::SpawnFails],
                        _ => &[],
                    };
                    self.ground.chance.always(always);
                    self.recorder.note("storm");
                }
            }
            if self.failed() {
                return End::Enough;
            }
        }
    }

    /// Whether something is not as it must be.
    fn failed(&mut self) -> bool {
        let record = self.recorder.read();
        if let Some(violation) = record.violations.first() {
            self.outcome.violation = Some(format!("{violation}\n\n{}", record.tail()));
        }
        !record.violations.is_empty()
    }

    /// Notes from where the way to rest begins.
    fn leave(&mut self) {
        let record = self.recorder.read();
        for ((machine, _), (state, _)) in &record.stands {
            let place = format!("{machine} {state}");
            *self.outcome.left_from.entry(place).or_default() += 1;
        }
    }

    /// Waits until every service is at rest, and checks it.
    async fn come_to_rest(&mut self, core: &Arc<Core>, since: Mono) -> Result<(), String> {
        let mut wait = Duration::from_millis(100);
        let mut rested = None;
        loop {
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(60));
            let mut moving = Vec::new();
            if !core.brought_up.is_finished() {
                moving.push("the core is not brought up yet".to_owned());
            }
            if self.model.is_asking() {
                moving.push("a command is not answered yet".to_owned());
            }
            let mut rests = Vec::new();
            for id in SERVICES {
                match rest::standing(core, &self.ground, id).await {
                    Ok(rest) => rests.push((id, rest)),
                    Err(why) => moving.push(format!("{id}: {why}")),
                }
            }
            let took = Mono::now().since(since);
            let failures = Some(self.witness.failures());
            if moving.is_empty() && rested != failures {
                // A rest lasts, and what is told of the way to it is on the disk by then.
                rested = failures;
                wait = SETTLING;
                continue;
            }
            rested = None;
            if moving.is_empty() {
                self.outcome.slowest = self.outcome.slowest.max(took.as_secs());
                for (id, rest) in rests {
                    rest::check(core, &self.model, id, rest)?;
                    self.witness.rested(&core.host, id)?;
                    *self.outcome.rests.entry(rest).or_default() += 1;
                }
                return Ok(());
            }
            if took > longest_way() {
                return Err(format!("no rest after {took:?}: {}", moving.join("; ")));
            }
            if self.failed() {
                return Ok(());
            }
        }
    }
}
