//! Effects about actions and tasks: §5.3.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Answer, DONE, Request, json, limits};
use crate::{
    model::{ActionMetadata, PackageEntry, Task, TaskEntry},
    problem::Problem,
    service::{
        Asker, actions,
        tasks::{self, TaskSelection},
    },
};

#[derive(Deserialize)]
struct Export {
    id: String,
    metadata: ActionMetadata,
}

pub(super) async fn export(request: Request<'_>) -> Answer {
    let Export { id, metadata } = request.params()?;
    let exported = id.clone();
    request
        .service
        .update("action-export", move |entry| store(entry, id, metadata))
        .await?;
    tasks::reevaluate_later(request.service, Some(exported));
    DONE
}

/// Inserts or replaces an action.
pub(super) fn store(
    entry: &mut PackageEntry,
    id: String,
    metadata: ActionMetadata,
) -> Result<(), Problem> {
    limits::name("action id", &id)?;
    let others = entry.actions.iter().filter(|(other, _)| **other != id);
    limits::ACTIONS.check(&id, &metadata, others.map(|(_, action)| action))?;
    entry.actions.insert(id, metadata);
    Ok(())
}

#[derive(Deserialize)]
struct Except {
    except: Vec<String>,
}

pub(super) async fn clear(request: Request<'_>) -> Answer {
    let Except { except } = request.params()?;
    limits::list("actions", &except)?;
    request
        .service
        .update("action-clear", move |entry| {
            entry.actions.retain(|id, _| except.contains(id));
            Ok(())
        })
        .await?;
    DONE
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetInput {
    package_id: Option<String>,
    action_id: String,
    #[serde(default)]
    prefill: Option<Map<String, Value>>,
    #[serde(default)]
    event_id: Option<String>,
}

pub(super) async fn get_input(request: Request<'_>) -> Answer {
    let params: GetInput = request.params()?;
    limits::name("action id", &params.action_id)?;
    limits::maybe_name("event id", params.event_id.as_deref())?;
    let target = request
        .service
        .host
        .service_or_self(request.service, params.package_id.as_deref())?;
    let input =
        actions::get_input(&target, &params.action_id, params.event_id, params.prefill).await?;
    json(&input)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    package_id: Option<String>,
    action_id: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    event_id: Option<String>,
}

pub(super) async fn run(request: Request<'_>) -> Answer {
    let params: Run = request.params()?;
    limits::name("action id", &params.action_id)?;
    limits::maybe_name("event id", params.event_id.as_deref())?;
    let target = request
        .service
        .host
        .service_or_self(request.service, params.package_id.as_deref())?;
    let asker = Asker::Package(request.service.id.clone());
    let result = actions::run(
        &target,
        &params.action_id,
        params.event_id,
        params.input,
        &asker,
    )
    .await?;
    Ok(result)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateTask {
    replay_id: String,
    #[serde(flatten)]
    task: Task,
}

pub(super) async fn create_task(request: Request<'_>) -> Answer {
    let CreateTask { replay_id, task } = request.params()?;
    if task.when.is_some() && task.input.is_none() {
        return Err(Problem::invalid(format!(
            "task `{replay_id}` has a condition on its input but names no input; give `input` or drop `when`"
        ))
        .into());
    }
    // Before package code is asked whether it is met: what may not be stored is nobody's business.
    admit_task(&request.service.entry()?, &replay_id, &task)?;
    tasks::create(request.service, replay_id, task).await?;
    DONE
}

/// Whether a task may be stored, or replace the one with the same replay id.
///
/// Judged before the task is stored, so the tasks that this service creates in this very moment may
/// come in over the limit: as many as have a turn.
pub(super) fn admit_task(
    entry: &PackageEntry,
    replay_id: &str,
    task: &Task,
) -> Result<(), limits::OverLimit> {
    limits::replay_id(replay_id)?;
    limits::name("package id", &task.package_id)?;
    limits::name("action id", &task.action_id)?;
    let others = entry.tasks.iter().filter(|(other, _)| *other != replay_id);
    let stored = TaskEntry {
        task: task.clone(),
        active: true,
    };
    limits::TASKS.check(replay_id, &stored, others.map(|(_, other)| other))
}

pub(super) async fn clear_tasks(request: Request<'_>) -> Answer {
    let which: TaskSelection = request.params()?;
    let (TaskSelection::Only { only: ids } | TaskSelection::Except { except: ids }) = &which;
    limits::list("tasks", ids)?;
    request
        .service
        .update("clear-tasks", move |entry| {
            entry.tasks.retain(|id, _| !which.selects(id));
            Ok(())
        })
        .await?;
    DONE
}
