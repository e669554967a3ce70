//! What an upgrade decides, done.

use std::{
    os::fd::{AsFd, AsRawFd},
    process::ExitStatus,
    rc::Rc,
};

use coppice_clock::Mono;
use nix::sys::signal::Signal;

use super::{Heart, Place};
use crate::{
    child::{Role, Running, describe},
    handover::Handover,
    program::Program,
    protocol::{UpgradeOutcome, UpgradeRequest, Wire},
    store_backup::{self, Copying},
    upgrade::{Effect, Input, Upgrade},
};

/// Edges that may still be at what was open before earlier upgrades; beyond, the oldest is ended.
const MOST_RETIRED: usize = 4;

impl Heart<'_> {
    pub(super) fn begin_upgrade(&mut self, request: UpgradeRequest) {
        if self.stopping.is_some() {
            return;
        }
        let busy = self.upgrade.is_some() || self.outdated || self.trial.is_some();
        let program = if busy {
            Err("another upgrade is under way; try again when it is over".to_owned())
        } else if self.table.is_none() {
            Err("the core has not begun to serve yet; try again in a moment".to_owned())
        } else {
            Program::open(&request.program).map_err(|why| format!("it could not be run: {why}"))
        };
        match program {
            Err(why) => self.announce(UpgradeOutcome {
                request,
                problem: Some(why),
            }),
            Ok(program) => {
                let status = format!("Upgrading to {}", request.program.display());
                eprintln!("coppice heart: {status}");
                self.notifier.reloading(&status);
                self.wanted = Some((request, Rc::new(program)));
                let (upgrade, effects) = Upgrade::begin(Mono::now(), self.config.ready_within);
                self.upgrade = Some(upgrade);
                self.perform(effects);
            }
        }
    }

    /// Something has happened that an upgrade may wait for.
    pub(super) fn advance(&mut self, input: Input) {
        if let Some(upgrade) = self.upgrade.take() {
            let (next, effects) = upgrade.step(input, Mono::now(), self.config.ready_within);
            self.upgrade = next;
            if !effects.is_empty() {
                // Each of its steps has an end of its own, so systemd need not wait for the core's sign of life.
                self.notifier.alive();
            }
            self.perform(effects);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(happened) = self.perform_one(effect) {
                self.advance(happened);
            }
        }
    }

    /// Does it; what happened at once, if anything did.
    fn perform_one(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::TryEdge => {
                let program = Rc::clone(&self.wanted.as_ref()?.1);
                if let Err(why) = self.try_edge(&program) {
                    return Some(Input::EdgeEnded(why));
                }
            }
            Effect::DropEdge => self.trial = None,
            Effect::TakeEdge => self.take_edge(),
            Effect::RetireCore => match &mut self.core.running {
                Some(core) => core.send(&Wire::new("retire")),
                None => return Some(Input::CoreEnded("had ended".to_owned())),
            },
            Effect::KillCore => match &self.core.running {
                Some(core) => core.signal(Signal::SIGKILL),
                None => return Some(Input::CoreEnded("had ended".to_owned())),
            },
            Effect::BackUp => match Copying::begin(&self.layout.data) {
                Ok(copying) => self.copying = Some(copying),
                Err(error) => return Some(Input::Copied(Err(error.to_string()))),
            },
            Effect::StopCopy => self.copying = None,
            Effect::StartNewCore => {
                self.core.program = Rc::clone(&self.wanted.as_ref()?.1);
                if let Err(error) = self.start(Role::Core) {
                    return Some(Input::CoreEnded(format!("could not be started ({error})")));
                }
                self.note_children();
            }
            Effect::Commit => {
                if let Err(error) = store_backup::forget(&self.layout.data) {
                    // Nothing can be written any more, so neither can what the copy would undo.
                    eprintln!(
                        "coppice heart: the copy of the stores could not be removed: {error}"
                    );
                }
            }
            Effect::Restore => {
                let restored = store_backup::restore(&self.layout.data);
                if let Err(error) = &restored {
                    eprintln!(
                        "coppice heart: the stores of before the upgrade could not be put back: \
                         {error}; trying again"
                    );
                }
                return Some(Input::Restored(restored.is_ok()));
            }
            Effect::GoBack => self.go_back(),
            Effect::Settle(outcome) => self.settle(outcome.err()),
        }
        None
    }

    /// Starts an edge beside the one that serves.
    fn try_edge(&mut self, program: &Program) -> Result<(), String> {
        let edge = self.spawn(Role::Edge, program);
        self.trial = Some(edge.map_err(|error| format!("could not be started ({error})"))?);
        self.publish_to(Place::Trial);
        self.note_children();
        Ok(())
    }

    /// A child that is not written down has written itself down; this only makes the list short again.
    fn note_children(&mut self) {
        if let Err(error) = self.record() {
            eprintln!("coppice heart: {error}");
        }
    }

    pub(super) fn trial_is_ready(&mut self) {
        if self.upgrade.is_some() {
            self.advance(Input::EdgeReady);
        } else {
            // One of the program from before, after an upgrade that came to nothing.
            self.take_edge();
        }
    }

    pub(super) fn trial_ended(&mut self, status: ExitStatus) {
        // Without an upgrade: the newer edge serves on; when it ends, one of the old program follows.
        self.advance(Input::EdgeEnded(describe(status)));
    }

    /// The edge that was tried serves from now on.
    fn take_edge(&mut self) {
        let Some(mut next) = self.trial.take() else {
            return;
        };
        next.ready = true;
        if let Some(mut old) = self.edge.running.replace(next) {
            old.send(&Wire::new("retire"));
            old.kill_at = Some(Mono::now() + self.config.drained_within);
            self.retired.push(old);
        }
        if self.retired.len() > MOST_RETIRED {
            self.retired[0].kill_at = Some(Mono::now());
        }
        if let Some((_, program)) = &self.wanted {
            self.edge.program = Rc::clone(program);
        }
    }

    /// Core and edge are of the program from before again.
    fn go_back(&mut self) {
        let Ok(own) = Program::own().map(Rc::new) else {
            // Cannot be: it is what runs here.
            return;
        };
        self.core.program = Rc::clone(&own);
        self.core.start_at = Mono::now();
        self.edge.program = Rc::clone(&own);
        if let Err(why) = self.try_edge(&own) {
            eprintln!("coppice heart: the edge {why}; the newer one goes on");
        }
    }

    fn settle(&mut self, problem: Option<String>) {
        if let Some((request, _)) = self.wanted.take() {
            self.outdated = problem.is_none();
            self.announce(UpgradeOutcome { request, problem });
        }
    }

    fn announce(&mut self, outcome: UpgradeOutcome) {
        let program = outcome.request.program.display();
        let status = match &outcome.problem {
            None => format!("Upgraded to {program}"),
            Some(why) => format!("The upgrade to {program} was not done: {why}"),
        };
        eprintln!("coppice heart: {status}");
        self.notifier.ready(&status);
        self.outcome = Some(outcome);
        self.tell_outcome();
    }

    /// Tells the core how the last upgrade ended.
    pub(super) fn tell_outcome(&mut self) {
        if let (Some(outcome), Some(core)) = (&self.outcome, &mut self.core.running) {
            core.send(&Wire {
                outcome: Some(outcome.clone()),
                ..Wire::new("upgraded")
            });
        }
    }

    /// After an upgrade: goes on as the new program, as soon as nothing is half said.
    pub(super) fn renew(&mut self) {
        if !self.outdated || self.stopping.is_some() {
            return;
        }
        let Some(handover) = self.handover() else {
            return;
        };
        let error = handover.pass_on_to(&self.core.program);
        self.outdated = false;
        eprintln!(
            "coppice heart: core and edge are upgraded, the heart itself is not: {error}; it is with the next start"
        );
    }

    fn handover(&self) -> Option<Handover> {
        // A slot that is empty for a moment is handed over as it is.
        let child = |running: &Option<Running>| match running {
            None => Some(None),
            Some(running) => running.to_hand_over().map(Some),
        };
        let (listeners, sockets) = self.listeners.open();
        let sockets = sockets.iter().map(|socket| socket.as_raw_fd());
        Some(Handover {
            lock: self.lock.as_fd().as_raw_fd(),
            run: self.run_held.as_raw_fd(),
            api: self.api.as_raw_fd(),
            edge_api: self.edge_api.as_raw_fd(),
            lifeline: [self.lifeline.as_raw_fd(), self.lifeline_held.as_raw_fd()],
            listeners: self.listeners.wanted().to_vec(),
            open: listeners.into_iter().zip(sockets).collect(),
            table: self.table.clone(),
            core: child(&self.core.running)?,
            edge: child(&self.edge.running)?,
            retired: self
                .retired
                .iter()
                .map(Running::to_hand_over)
                .collect::<Option<_>>()?,
            outcome: self.outcome.clone(),
        })
    }
}
