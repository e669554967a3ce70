//! What happens in a storm, one event at a time.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use coppice_containers::ExitStatus;
use tokio::time::{sleep, timeout};

use super::{
    Command, End, SERVICES, ground::Ground, life::Core, machine::below, model::Model,
    recorder::Recorder,
};
use crate::{
    jobs::{Manner, Source},
    testing::Fuse,
};

/// An event that waits for a step gives up after this.
const STEP_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Storm<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) ground: &'a Arc<Ground>,
    pub(super) model: &'a Model,
    pub(super) recorder: &'a Recorder,
    pub(super) packages: &'a BTreeMap<&'static str, PathBuf>,
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
            24..32 => self.command(id, Command::Restart),
            32..50 => self.command(id, Command::Install),
            50..58 => {
                let (soft, force) = (below(2) == 0, below(2) == 0);
                self.command(id, Command::Uninstall { soft, force })
            }
            58..64 => {
                let code = (below(2) == 0).then(|| i32::try_from(below(3)).unwrap_or(0));
                self.inside(id, |one| one.lose_node(code))
            }
            64..67 => self.inside(id, |one| one.lose_daemon(1)),
            67..72 => self.inside(id, |one| {
                one.lose_lines();
                true
            }),
            72..77 => {
                let status = match below(2) {
                    0 => ExitStatus::Code(1),
                    _ => ExitStatus::Signal(libc::SIGKILL),
                };
                self.ground.end(id, status)
            }
            77..92 => {
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
            _ => return None,
        };
        if hit {
            self.recorder.note(&format!("of {id}"));
        }
        None
    }

    /// Some time: none, a little, or more than there is to any deadline. Or some steps, after which whatever
    /// comes now comes in the midst of what they began.
    async fn wait(&self) {
        let ms = match below(100) {
            0..50 => {
                let until = self.recorder.steps() + below(12);
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

    fn inside(
        &self,
        id: &str,
        does: impl FnOnce(&Arc<super::inhabitant::Inhabitant>) -> bool,
    ) -> bool {
        self.ground.inhabitant(id).is_some_and(|one| does(&one))
    }

    /// Gives a command and goes on; its answer is heard when it comes.
    fn command(&self, id: &'static str, command: Command) -> bool {
        let (core, model, recorder) = (
            Arc::clone(self.core),
            self.model.clone(),
            self.recorder.clone(),
        );
        let file = self.packages[id].clone();
        recorder.note(&format!("{command:?}"));
        model.asks(id, command);
        tokio::spawn(async move {
            let coppice = &core.coppice;
            let done = match command {
                Command::Start => coppice.start(id, false).await,
                Command::Stop => coppice.stop(id).await,
                Command::Restart => coppice.restart(id).await,
                Command::Install => coppice.install(Source::File(file)).await.map(drop),
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
