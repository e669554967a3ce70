//! How the world behaves: by chance in a storm, well when it is calm.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::machine::below;

/// What may take its time or go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Weather {
    /// A write of the document.
    Disk,
    /// Dialling the core.
    Link,
    /// The agent answers.
    Agent,
    AgentDeaf,
    SpawnFails,
    NodeSilent,
    Init,
    InitHangs,
    InitFails,
    Start,
    StartHangs,
    StartFails,
    Stop,
    StopHangs,
    StopFails,
    Exit,
    ExitHangs,
    ExitFails,
    EndsBeforeAnswer,
    /// The backend does something.
    Backend,
    InspectFails,
    CreateFails,
    StopContainerFails,
    DestroyFails,
    WaitFails,
}

impl Weather {
    /// In how many of a thousand times it goes wrong in a storm.
    const fn per_mille(self) -> u64 {
        match self {
            Self::AgentDeaf => 8,
            Self::SpawnFails | Self::NodeSilent => 20,
            Self::InitHangs | Self::StartHangs | Self::StopHangs | Self::ExitHangs => 15,
            Self::InitFails | Self::StartFails | Self::StopFails | Self::ExitFails => 60,
            Self::EndsBeforeAnswer => 300,
            Self::InspectFails | Self::StopContainerFails | Self::WaitFails => 10,
            Self::CreateFails | Self::DestroyFails => 30,
            Self::Disk
            | Self::Link
            | Self::Agent
            | Self::Init
            | Self::Start
            | Self::Stop
            | Self::Exit
            | Self::Backend => 0,
        }
    }

    /// How long it takes at most, usually, in milliseconds.
    const fn usual_ms(self) -> u64 {
        match self {
            Self::Disk => 5,
            Self::Link | Self::Agent => 20,
            Self::Init | Self::Start | Self::Stop | Self::Exit => 3_000,
            _ => 300,
        }
    }

    /// How long it takes at most when it takes long, in milliseconds: beyond any deadline.
    const fn long_ms(self) -> u64 {
        match self {
            Self::Disk => 200,
            Self::Link | Self::Agent => 70_000,
            Self::Init => 3_700_000,
            Self::Start | Self::Exit => 700_000,
            _ => 200_000,
        }
    }
}

/// Chance, shared by all that depends on it.
#[derive(Clone, Default)]
pub(in crate::testing) struct Chance(Arc<Sky>);

#[derive(Default)]
struct Sky {
    storm: AtomicBool,
    /// What goes wrong every time, storm or not.
    always: Mutex<Vec<Weather>>,
}

impl Chance {
    /// From now on things go wrong by chance, or do not.
    pub(in crate::testing) fn storm(&self, on: bool) {
        self.0.storm.store(on, Ordering::Relaxed);
    }

    /// From now on these go wrong every time.
    pub(in crate::testing) fn always(&self, what: &[Weather]) {
        *self.0.always.lock().unwrap_or_else(PoisonError::into_inner) = what.to_vec();
    }

    /// Whether it goes wrong this time.
    pub(in crate::testing) fn strikes(&self, what: Weather) -> bool {
        let storm = self.0.storm.load(Ordering::Relaxed);
        let always = self.0.always.lock().unwrap_or_else(PoisonError::into_inner);
        always.contains(&what) || storm && below(1000) < what.per_mille()
    }

    /// Takes its time: none, some, or in a storm very much of it.
    pub(in crate::testing) async fn delay(&self, what: Weather) {
        let storm = self.0.storm.load(Ordering::Relaxed);
        let ms = match below(if storm { 100 } else { 98 }) {
            // Right away, or after whatever else is to be done right away.
            0..35 => return,
            35..50 => return tokio::task::yield_now().await,
            50..98 => below(what.usual_ms()),
            _ => below(what.long_ms()),
        };
        sleep(Duration::from_millis(ms)).await;
    }
}
