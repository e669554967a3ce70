//! What happens in a storm, one event at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coppice_containers::ExitStatus;
use tokio::time::{sleep, timeout};

use super::{
    Command, End, Files, SERVICES,
    ground::Ground,
    inhabitant::Inhabitant,
    life::Core,
    machine::{below, disk_is_full, fill_disk},
    model::Model,
    recorder::Recorder,
    stray,
};
use crate::{
    jobs::{Manner, Source},
    model::By,
    testing::Fuse,
};

/// An event that waits for a step gives up after this.
const STEP_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Storm<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) ground: &'a Arc<Ground>,
    pub(super) model: &'a Model,
    pub(super) recorder: &'a Recorder,
    pub(super) packages: &'a BTreeMap<&'static str, Files>,
    pub(super) fuse: &'a Arc<Fuse>,
}

impl Storm<'_> {
    /// One event, after some time or some steps; the end of this life, if that is what it is.
    pub(super) async fn event(&self) -> Option<End> {
        self.wait().await;
        let id = SERVICES[below(SERVICES.len() as u64) as usize];
        let hit = match below(100) {
            0..14 => self.command(id, Command::Start),
            14..24 => self.command(id, Command::Stop),
            24..31 => self.command(id, Command::Restart),
            31..50 => self.command(id, Command::Install),
            50..58 => {
                let (soft, force) = (below(2) == 0, below(2) == 0);
                self.command(id, Command::Uninstall { soft, force })
            }
            58..63 => {
                let code = (below(2) == 0).then(|| i32::try_from(below(3)).unwrap_or(0));
                self.inside(id, |one| one.lose_node(code, below(4) == 0))
            }
            63..64 => self.inside(id, |one| one.lose_daemon(1)),
            64..65 => self.command(id, Command::CallOff),
            65..68 => self.inside(id, |one| {
                one.lose_lines();
                true
            }),
            68..70 => self.inside(id, Inhabitant::dial_twice),
            70..79 => {
                self.strays().await;
                return None;
            }
            79..82 => {
                let status = match below(2) {
                    0 => ExitStatus::Code(1),
                    _ => ExitStatus::Signal(libc::SIGKILL),
                };
                self.ground.end(id, status)
            }
            82..92 => {
                if let Some(place) = self.core.kill_something().await {
                    self.recorder.note(&format!("killed {place}"));
                }
                return None;
            }
            92..96 => {
                let writes = u32::try_from(below(6)).unwrap_or(0);
                self.recorder.note(&format!("cut after {writes} writes"));
                self.fuse.light(Some(writes));
                return None;
            }
            96..98 => return Some(End::Cut),
            98 => return Some(End::PowerCut),
            _ => {
                fill_disk(!disk_is_full());
                self.recorder
                    .note(&format!("disk full: {}", disk_is_full()));
                return None;
            }
        };
        if hit {
            self.recorder.note(&format!("of {id}"));
        }
        None
    }

    /// Late and repeated messages, to the next that comes into some state, before it does anything in it.
    async fn strays(&self) {
        let (machine, state) = stray::STATES[below(stray::STATES.len() as u64) as usize];
        if state == "Held" {
            fill_disk(true);
        }
        let host = Arc::clone(&self.core.host);
        let send = move |id: &str, removal: &str| stray::send(&host, (machine, state), id, removal);
        let struck = self.recorder.ambush(machine, state, Box::new(send));
        let struck = timeout(STEP_PATIENCE, struck).await;
        // Somebody may lose patience with what is held.
        if state == "Held" && struck.is_ok() && below(2) == 0 {
            let id = SERVICES[below(SERVICES.len() as u64) as usize];
            let (soft, force) = (true, true);
            self.command(id, Command::Uninstall { soft, force });
        }
    }

    /// Some time: none, a little, or more than there is to any deadline. Or some steps, after which whatever
    /// comes now comes in the midst of what they began.
    async fn wait(&self) {
        let ms = match below(100) {
            0..50 => {
                let until = self.recorder.steps() + 1 + below(12);
                let _ = timeout(STEP_PATIENCE, self.recorder.reaches(until)).await;
                return;
            }
            50..70 => below(50),
            70..90 => below(5_000),
            90..98 => below(120_000),
            _ => below(4_000_000),
        };
        sleep(Duration::from_millis(ms)).await;
    }

    fn inside(&self, id: &str, does: impl FnOnce(&Arc<Inhabitant>) -> bool) -> bool {
        self.ground.inhabitant(id).is_some_and(|one| does(&one))
    }

    /// Gives a command and goes on; its answer is heard when it comes.
    fn command(&self, id: &'static str, command: Command) -> bool {
        let (core, model, recorder) = (
            Arc::clone(self.core),
            self.model.clone(),
            self.recorder.clone(),
        );
        let files = &self.packages[id];
        let files = if below(10) == 0 {
            &files.broken
        } else {
            &files.whole
        };
        let file = files[below(files.len() as u64) as usize].clone();
        recorder.note(&format!("{command:?}"));
        model.asks(id, command);
        tokio::spawn(async move {
            let (coppice, by) = (&core.coppice, By::Coppice);
            let mut command = command;
            let done = match command {
                Command::Start => coppice.start(id, false, by).await,
                Command::Stop => coppice.stop(id, by).await,
                Command::Restart => coppice.restart(id, by).await,
                Command::Install | Command::Update => {
                    let installed = coppice.install(Source::File(file)).await;
                    if installed.as_ref().is_ok_and(|done| done.from.is_some()) {
                        command = Command::Update;
                    }
                    installed.map(drop)
                }
                Command::CallOff => coppice.cancel_update(id, by),
                Command::Uninstall { soft, force } => {
                    coppice.uninstall(id, Manner { soft, force }).await
                }
            };
            recorder.note(&format!("{command:?} of {id}: {}", done.is_ok()));
            if let Err(violation) = model.answered(id, command, done.is_ok()) {
                recorder.violated(violation);
            }
        });
        true
    }
}
