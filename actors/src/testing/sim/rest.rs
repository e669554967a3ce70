//! When a service is at rest, and how long it may take to get there.

use std::time::Duration;

use coppice_clock::Wall;
use coppice_containers::{Backend, Inspection, Segment};
use coppice_supervision::{ChildState, Supervisor};
use futures_util::{FutureExt, future::BoxFuture};
use ractor::ActorCell;
use serde::{Deserialize, Serialize};

use super::{ground::Ground, life::Core, model::Model};
use crate::{
    jobs,
    model::{DesiredStatus, PackageEntry, StateInfo},
    service::{ContainerPhase, RuntimePhase, ServiceContext, container, runtime},
};

/// Where a service may stay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Rest {
    NotInstalled,
    Stopped,
    Running,
    /// As running, without Node.
    Asleep,
    /// With its reason and its next try.
    Parked,
    /// A job about it failed and says so; another uninstall is the way out.
    Unfinished,
}

/// The longest way to a rest: everything on it takes until its deadline, one after the other, once where the
/// supervisors let it fail, and again where they do not park it at once. After that whatever it is that goes
/// on is not on its way any more.
pub(super) fn longest_way() -> Duration {
    let container = container::step::LOOK_DEADLINE
        + container::step::CLEARING_GRACE
        + container::step::DESTROY_DEADLINE
        + container::step::CREATE_DEADLINE;
    let runtime = runtime::step::LAUNCH_DEADLINE
        + runtime::step::INIT_DEADLINE
        + runtime::step::START_DEADLINE
        + runtime::step::STOP_DEADLINE
        + runtime::step::EXIT_DEADLINE
        + runtime::step::START_RETRY;
    let job = jobs::longest();
    container + runtime + job
}

/// Where a service stands; the error says what it is on its way with.
pub(super) async fn standing(core: &Core, ground: &Ground, id: &str) -> Result<Rest, String> {
    let instance = Segment::new(id).unwrap();
    let runs = matches!(
        ground.inspect(&instance).await,
        Ok(Inspection::Running(_)) | Err(_)
    );
    let row = core.host.document.jobs();
    let row = row.values().find(|job| job.instance == id);
    let Some(entry) = core.host.document.package(id) else {
        return match (row, runs, core.host.service(id)) {
            (None, false, None) => Ok(Rest::NotInstalled),
            (row, runs, tree) => Err(format!(
                "not installed, with row {row:?}, container {runs}, tree {}",
                tree.is_some()
            )),
        };
    };
    if !matches!(entry.state_info, StateInfo::Installed { .. }) || row.is_some() {
        return Ok(Rest::Unfinished);
    }
    let Some(service) = core.host.service(id) else {
        return Err("installed, and has no tree".to_owned());
    };
    let children = core.jobs.services.which_children().await;
    let child = children.ok().and_then(|known| {
        let mut children = known.children.into_iter();
        children.find(|child| child.id.as_str() == id)
    });
    let missing = missing_in(child.as_ref().and_then(|child| child.actor.clone())).await;
    let tree = child.map(|child| child.state);
    if let (Some(ChildState::Running { .. }), Some(missing)) = (&tree, missing) {
        return Err(format!("{missing} does not run"));
    }
    let inhabitant = ground.inhabitant(id);
    let up = inhabitant.as_ref().is_some_and(|one| one.main_is_up());
    let sleeps = inhabitant.is_some_and(|one| one.sleeps());
    rest_of(&entry, &service, tree, runs, (up, sleeps))
}

/// The first actor below a supervisor that does not run.
fn missing_in(actor: Option<ActorCell>) -> BoxFuture<'static, Option<String>> {
    async move {
        let supervisor = Supervisor::from_cell(&actor?)?;
        let children = supervisor.which_children().await;
        let Ok(known) = children else {
            return Some("a supervisor".to_owned());
        };
        for child in known.children {
            if !matches!(child.state, ChildState::Running { .. }) {
                return Some(format!("{}/{}", known.path, child.id));
            }
            if let Some(missing) = missing_in(child.actor).await {
                return Some(missing);
            }
        }
        None
    }
    .boxed()
}

fn rest_of(
    entry: &PackageEntry,
    service: &ServiceContext,
    tree: Option<ChildState>,
    runs: bool,
    (up, sleeps): (bool, bool),
) -> Result<Rest, String> {
    let phase = service.phase.borrow().clone();
    let container = service.container.borrow().clone();
    let (desired, started) = (entry.status_info.desired, entry.status_info.started);
    match (&tree, &entry.parked, desired) {
        (Some(ChildState::Parked { .. }), Some(parked), _)
            if !runs && !parked.reason.is_empty() && parked.next_probe >= Wall::now() =>
        {
            Ok(Rest::Parked)
        }
        // It was parked, and then stopped.
        (None, None, DesiredStatus::Stopped) if !runs => Ok(Rest::Stopped),
        (Some(ChildState::Running { .. }), None, DesiredStatus::Stopped)
            if phase == RuntimePhase::Idle
                && container == ContainerPhase::Up
                && started.is_none()
                && !up =>
        {
            Ok(Rest::Stopped)
        }
        (Some(ChildState::Running { .. }), None, DesiredStatus::Running)
            if phase == RuntimePhase::Running
                && container == ContainerPhase::Up
                && started.is_some()
                && up =>
        {
            Ok(Rest::Running)
        }
        (Some(ChildState::Running { .. }), None, DesiredStatus::Running)
            if phase == RuntimePhase::Asleep
                && container == ContainerPhase::Up
                && started.is_some()
                && entry.asleep.is_some()
                && sleeps =>
        {
            Ok(Rest::Asleep)
        }
        _ => Err(format!(
            "wanted {desired:?}, tree {tree:?}, container {container:?} (runs: {runs}), runtime {phase:?}, \
             main {up}, started {started:?}, parked {:?}",
            entry.parked
        )),
    }
}

/// What must be true of a service at rest.
pub(super) fn check(core: &Core, model: &Model, id: &str, rest: Rest) -> Result<(), String> {
    let Some(entry) = core.host.document.package(id) else {
        return model.look_at_volume(id, None);
    };
    if rest == Rest::Unfinished {
        return Ok(());
    }
    let wants = entry.status_info.desired.wants_running();
    if let Some(wanted) = model.wanted(id)
        && wanted != wants
    {
        return Err(format!(
            "the user was told that {id} is wanted up: {wanted}, and the document says {wants}"
        ));
    }
    let version = entry.state_info.manifest()["version"].as_str();
    model.look_at_volume(id, version)
}
