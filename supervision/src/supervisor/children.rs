//! The actors of the children, from the start of one to its end: which child each is, and whether anybody would hear
//! of its end.

use std::time::Duration;

use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef};

use super::{
    Running,
    tasks::{StartTask, watch},
};
use crate::{
    context::{ChildContext, Spawned, StartError},
    core::{Input, Key, Shutdown, StartId},
    exit::ExitReason,
    handle::SupervisorMsg,
};

impl Running {
    pub(super) fn begin_start(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        key: Key,
        start: StartId,
        restarts: u32,
        deadline: Option<Duration>,
    ) {
        let (Some(factory), Some((id, _))) =
            (self.factories.get(&key), self.core().child_rules(key))
        else {
            return;
        };
        let context = ChildContext {
            parent: myself.get_cell(),
            path: self.path.child(id.clone()),
            restarts,
            observer: self.spec.observer.clone(),
            clock: self.clock.clone(),
            spawned: Spawned::default(),
        };
        let task = StartTask::begin(
            myself.clone(),
            factory.clone(),
            context,
            (key, start),
            deadline,
        );
        self.starts.insert(key, task);
    }

    pub(super) fn start_done(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        key: Key,
        start: StartId,
        result: Result<ActorCell, StartError>,
    ) -> Result<(), ActorProcessingErr> {
        if self
            .starts
            .get(&key)
            .is_some_and(|task| task.start == start)
        {
            self.starts.remove(&key);
        }
        let ended_early = match &result {
            Ok(cell) => self.early.remove(&cell.get_id()),
            Err(_) => None,
        };
        if self.starts.is_empty() {
            self.early.clear();
        }
        let cell = match result {
            Ok(cell) => cell,
            Err(StartError::Ignore) => return self.feed(myself, Input::Ignored(key, start)),
            Err(StartError::Failed(failure)) => {
                return self.feed(myself, Input::StartFailed(key, start, failure));
            }
        };
        if !self.core().is_starting(key, start) {
            // Given up in the moment it succeeded.
            cell.kill();
            return Ok(());
        }
        let actor = cell.get_id();
        if ended_early.is_none() && !is_child_of(&cell, myself) {
            // The start function did not link it, or it has just ended. Either way someone has to
            // look: an end between this line and the link would be reported to nobody.
            cell.link(myself.get_cell());
            watch(myself.clone(), cell.clone());
        }
        self.cells.insert(key, cell);
        self.actors.insert(actor, (key, start));
        self.feed(myself, Input::Started(key, start))?;
        match ended_early {
            Some(reason) => self.actor_ended(myself, actor, reason),
            None => Ok(()),
        }
    }

    pub(super) fn actor_ended(
        &mut self,
        myself: &ActorRef<SupervisorMsg>,
        actor: ActorId,
        reason: ExitReason,
    ) -> Result<(), ActorProcessingErr> {
        let Some((key, start)) = self.actors.remove(&actor) else {
            if !self.starts.is_empty() {
                self.early.insert(actor, reason);
            }
            return Ok(());
        };
        self.cells.remove(&key);
        self.feed(myself, Input::Exited(key, start, reason))
    }

    pub(super) fn stops_in_reverse(&self) -> Vec<(ActorCell, Shutdown)> {
        let mut stops: Vec<_> = self
            .cells
            .iter()
            .filter_map(|(key, cell)| {
                let (_, rules) = self.core().child_rules(*key)?;
                Some((*key, cell.clone(), rules.shutdown))
            })
            .collect();
        stops.sort_by_key(|(key, ..)| std::cmp::Reverse(*key));
        stops
            .into_iter()
            .map(|(_, cell, shutdown)| (cell, shutdown))
            .collect()
    }
}

fn is_child_of(cell: &ActorCell, supervisor: &ActorRef<SupervisorMsg>) -> bool {
    cell.try_get_supervisor()
        .is_some_and(|parent| parent.get_id() == supervisor.get_id())
}
