//! What the user asked for and was told, and what must therefore be true.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is known of one service from outside.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Whether it is wanted up, as far as the user was answered; unknown while two commands crossed or one
    /// was never answered.
    wanted: Option<bool>,
    /// Commands that were not answered yet.
    asked: u32,
    crossed: bool,
    /// The command finds a job half done and brings it to its end instead.
    finished: bool,
    /// What stands in its volume, if that is known.
    volume: Volume,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Volume {
    #[default]
    Empty,
    Holds(String),
    /// A removal of it was begun and not answered: all of it or nothing.
    Perhaps(String),
}

/// What a command does when it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Start,
    Stop,
    Restart,
    Install,
    /// What an install is when another version is there.
    Update,
    CallOff,
    Uninstall {
        soft: bool,
        force: bool,
    },
}

/// Clones share what they know.
#[derive(Clone)]
pub(super) struct Model {
    services: PathBuf,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

impl Model {
    /// Of the services whose folders are in `services`.
    pub(super) fn new(services: &Path) -> Self {
        Self {
            services: services.to_owned(),
            known: Arc::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, id: &str) -> PathBuf {
        self.services.join(id).join("volumes/main/kept")
    }

    /// A command is about to be given.
    pub(super) fn asks(&self, id: &str, command: Command) {
        let mut all = self.known();
        let known = all.entry(id.to_owned()).or_default();
        known.crossed = known.asked > 0;
        known.asked += 1;
        known.finished = false;
        if matches!(command, Command::Uninstall { soft: false, .. })
            && let Volume::Holds(what) = &known.volume
        {
            known.volume = Volume::Perhaps(what.clone());
        }
    }

    /// A job that was left half done is brought to its end.
    pub(super) fn finishes(&self, id: &str) {
        self.known().entry(id.to_owned()).or_default().finished = true;
    }

    /// It was answered.
    ///
    /// # Errors
    /// What is not as it must be now.
    pub(super) fn answered(&self, id: &str, command: Command, done: bool) -> Result<(), String> {
        let mut all = self.known();
        let known = all.entry(id.to_owned()).or_default();
        known.asked = known.asked.saturating_sub(1);
        let alone = known.asked == 0 && !known.crossed;
        if !alone {
            known.wanted = None;
            return Ok(());
        }
        if !done {
            return Ok(());
        }
        known.wanted = match command {
            Command::Start | Command::Restart => Some(true),
            Command::Stop | Command::Install => Some(false),
            // The new version runs if the one before did.
            Command::Update | Command::CallOff => known.wanted,
            Command::Uninstall { .. } => None,
        };
        if matches!(command, Command::Uninstall { soft: false, .. }) && !known.finished {
            if self.services.join(id).exists() {
                return Err(format!("{id} was uninstalled, and something of it is left"));
            }
            known.volume = Volume::Empty;
        }
        Ok(())
    }

    /// The core ended: who asked will never be answered.
    pub(super) fn hangs_up(&self) {
        for known in self.known().values_mut() {
            if known.asked > 0 {
                known.wanted = None;
            }
            known.asked = 0;
        }
    }

    /// Whether a command waits for its answer.
    pub(super) fn is_asking(&self) -> bool {
        self.known().values().any(|known| known.asked > 0)
    }

    /// Whether the user was told that it is stopped, and asked for nothing since.
    pub(super) fn must_stay_down(&self, id: &str) -> bool {
        let all = self.known();
        let known = all.get(id);
        known.is_some_and(|known| known.asked == 0 && known.wanted == Some(false))
    }

    /// What the user must find wanted of a service that is installed and at rest.
    pub(super) fn wanted(&self, id: &str) -> Option<bool> {
        self.known().get(id)?.wanted
    }

    /// Looks at the volume of a service at rest, and puts something into it when a version of it is installed.
    ///
    /// # Errors
    /// When what was in it is not, and it was not removed on demand; or when a later version has worked on it.
    pub(super) fn look_at_volume(&self, id: &str, installed: Option<&str>) -> Result<(), String> {
        let file = self.kept(id);
        let found = fs::read_to_string(&file).ok();
        let mut all = self.known();
        let known = all.entry(id.to_owned()).or_default();
        if installed.is_none() {
            known.wanted = None;
        }
        let data = fs::read_to_string(self.services.join(id).join("volumes/.version"));
        if let (Some(version), Ok(data)) = (installed, data)
            && data.as_str() > version
        {
            return Err(format!(
                "{id} is of version {version}, and its data of {data}"
            ));
        }
        match (&known.volume, found) {
            (Volume::Holds(expected), found) if found.as_ref() != Some(expected) => {
                return Err(format!("the volume of {id} lost {expected}: {found:?}"));
            }
            (Volume::Perhaps(expected), Some(found)) if found == *expected => {
                known.volume = Volume::Holds(found);
            }
            (Volume::Perhaps(_), None) => known.volume = Volume::Empty,
            (Volume::Perhaps(_) | Volume::Empty, Some(found)) => {
                return Err(format!("the volume of {id} holds {found} again"));
            }
            (Volume::Holds(_) | Volume::Empty, _) => {}
        }
        if installed.is_some() && known.volume == Volume::Empty {
            let what = crate::ids::random(5);
            fs::write(&file, &what).map_err(|error| format!("the volume of {id}: {error}"))?;
            known.volume = Volume::Holds(what);
        }
        Ok(())
    }
}
