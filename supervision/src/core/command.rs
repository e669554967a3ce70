//! Commands from outside: add, terminate, restart, delete, unpark.

use super::{
    child::{Child, Key, Life, Why},
    rules::{ChildRules, Shape},
    state::{Effect, Phase, State, Turn},
};
use crate::{exit::ExitReason, id::ChildId, spec::SpecError};

/// Whom to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CommandId(pub(crate) u64);

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Add {
        key: Key,
        id: ChildId,
        rules: ChildRules,
    },
    Terminate(ChildId),
    Restart(ChildId),
    Delete(ChildId),
    Unpark(ChildId),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such child.
    #[error("there is no child `{child}`")]
    NotFound {
        /// The name asked for.
        child: ChildId,
    },
    /// The name is taken.
    #[error("there already is a child `{child}`; terminate and delete it first")]
    AlreadyPresent {
        /// The name.
        child: ChildId,
    },
    /// The child runs.
    #[error("child `{child}` is running; terminate it first")]
    Running {
        /// The child.
        child: ChildId,
    },
    /// The child is about to be started again.
    #[error("child `{child}` is being restarted; terminate it first")]
    Restarting {
        /// The child.
        child: ChildId,
    },
    /// The child did not come up.
    #[error("child `{child}` {reason}")]
    StartFailed {
        /// The child.
        child: ChildId,
        /// Always [`ExitReason::StartFailed`].
        reason: ExitReason,
    },
    /// The start was given up because someone terminated the child meanwhile.
    #[error("child `{child}` was terminated while it started")]
    Cancelled {
        /// The child.
        child: ChildId,
    },
    /// The spec contradicts the supervisor's.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The supervisor is ending.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The supervisor has ended, or does not answer.
    #[error("the supervisor is gone")]
    Gone,
}

impl State {
    pub(super) fn command(&mut self, id: CommandId, command: Command, turn: &mut Turn) {
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            self.refuse(id, &command, turn);
            return;
        }
        match command {
            Command::Add {
                key,
                id: name,
                rules,
            } => self.add(id, key, name, rules, turn),
            Command::Terminate(child) => self.with_child(id, child, turn, Self::terminate),
            Command::Restart(child) => self.with_child(id, child, turn, Self::restart_by_command),
            Command::Delete(child) => self.with_child(id, child, turn, Self::delete),
            Command::Unpark(child) => self.with_child(id, child, turn, Self::unpark),
        }
    }

    /// The answer of a supervisor that is ending.
    pub(super) fn refuse(&mut self, id: CommandId, command: &Command, turn: &mut Turn) {
        if let Command::Add { key, .. } = command {
            turn.push(Effect::Removed { key: *key });
        }
        turn.reply(id, Err(CommandError::ShuttingDown));
    }

    fn with_child(
        &mut self,
        id: CommandId,
        child: ChildId,
        turn: &mut Turn,
        then: fn(&mut Self, CommandId, Key, &mut Turn),
    ) {
        match self.names.get(&child) {
            Some(key) => then(self, id, *key, turn),
            None => turn.reply(id, Err(CommandError::NotFound { child })),
        }
    }

    fn add(&mut self, id: CommandId, key: Key, name: ChildId, rules: ChildRules, turn: &mut Turn) {
        if self.names.contains_key(&name) {
            turn.push(Effect::Removed { key });
            turn.reply(id, Err(CommandError::AlreadyPresent { child: name }));
            return;
        }
        self.names.insert(name.clone(), key);
        self.children.insert(key, Child::new(name, rules));
        self.begin_start(key, Why::Add(id), turn);
    }

    fn terminate(&mut self, id: CommandId, key: Key, turn: &mut Turn) {
        let child = self.child_mut(key);
        match &mut child.life {
            Life::Running { .. } => self.begin_stop(key, vec![id], turn),
            Life::Stopping { waiting, .. } => waiting.push(id),
            Life::Starting { .. } => {
                self.cancel_start(key, turn);
                self.lay_down(key, turn);
                turn.reply(id, Ok(()));
            }
            Life::Down
            | Life::Dead { .. }
            | Life::Retry { .. }
            | Life::Waiting { .. }
            | Life::Parked { .. } => {
                self.lay_down(key, turn);
                turn.reply(id, Ok(()));
            }
        }
    }

    fn restart_by_command(&mut self, id: CommandId, key: Key, turn: &mut Turn) {
        let child = self.child(key);
        let name = child.id.clone();
        match child.life {
            Life::Down => self.begin_start(key, Why::Command(id), turn),
            Life::Parked { .. } => self.unpark(id, key, turn),
            // A death that has not been decided about yet is no restart yet; as in OTP, the child
            // counts as running until then.
            Life::Running { .. } | Life::Stopping { .. } | Life::Dead { .. } => {
                turn.reply(id, Err(CommandError::Running { child: name }));
            }
            Life::Starting { .. } | Life::Retry { .. } | Life::Waiting { .. } => {
                turn.reply(id, Err(CommandError::Restarting { child: name }));
            }
        }
    }

    fn delete(&mut self, id: CommandId, key: Key, turn: &mut Turn) {
        let child = self.child(key);
        let name = child.id.clone();
        match child.life {
            Life::Down | Life::Parked { .. } => {
                self.remove(key, turn);
                turn.reply(id, Ok(()));
            }
            Life::Running { .. } | Life::Stopping { .. } | Life::Dead { .. } => {
                turn.reply(id, Err(CommandError::Running { child: name }));
            }
            Life::Starting { .. } | Life::Retry { .. } | Life::Waiting { .. } => {
                turn.reply(id, Err(CommandError::Restarting { child: name }));
            }
        }
    }

    fn unpark(&mut self, id: CommandId, key: Key, turn: &mut Turn) {
        let child = self.child_mut(key);
        match child.life {
            Life::Parked { .. } => {
                child.window.clear();
                child.streak = 0;
                self.begin_start(key, Why::Unpark(id), turn);
            }
            Life::Running { .. }
            | Life::Starting { .. }
            | Life::Stopping { .. }
            | Life::Down
            | Life::Dead { .. }
            | Life::Retry { .. }
            | Life::Waiting { .. } => turn.reply(id, Ok(())),
        }
    }

    /// A start that someone waits for comes to nothing.
    pub(super) fn cancel_start(&mut self, key: Key, turn: &mut Turn) {
        let child = self.child_mut(key);
        let Life::Starting { why, .. } = &child.life else {
            return;
        };
        let error = CommandError::Cancelled {
            child: child.id.clone(),
        };
        match why {
            Why::Add(id) | Why::Command(id) | Why::Unpark(id) => turn.reply(*id, Err(error)),
            Why::Boot | Why::Again | Why::Group | Why::Probe(_) => {}
        }
        child.life = Life::Down;
        turn.push(Effect::CancelStart { key });
    }

    /// Not running and not wanted: down, or gone where no spec is kept.
    pub(super) fn lay_down(&mut self, key: Key, turn: &mut Turn) {
        let dynamic = matches!(self.rules.shape, Shape::Dynamic(_));
        let child = self.child_mut(key);
        if dynamic || child.is_temporary() {
            self.remove(key, turn);
        } else {
            child.life = Life::Down;
        }
    }

    pub(super) fn remove(&mut self, key: Key, turn: &mut Turn) {
        if let Some(child) = self.children.remove(&key) {
            self.names.remove(&child.id);
            turn.push(Effect::Removed { key });
        }
    }
}
