//! Tasks of services: asked, met, asked again (`service-abi.md` §7.1).
//!
//! Invariants: a task belongs to the package that asked (its *source*), whatever package it is
//! about (its *target*); a source with an active critical task is not wanted running; evaluating
//! never waits for a target that is itself initialising.

use std::{collections::BTreeMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Event, RuntimePhase, ServiceContext, actions,
    matching::{conflicts, is_met},
    records,
};
use crate::{
    model::{By, Cause, PackageEntry, Severity, Task, TaskEntry},
    problem::Problem,
};

/// Which tasks an effect names, by replay id; an event id may stand beside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TaskSelection {
    /// These.
    Only {
        /// Their ids.
        only: Vec<String>,
    },
    /// All but these.
    Except {
        /// Their ids.
        except: Vec<String>,
    },
}

impl TaskSelection {
    /// Whether the task with this replay id is meant.
    #[must_use]
    pub fn selects(&self, id: &str) -> bool {
        match self {
            Self::Only { only } => only.iter().any(|one| one == id),
            Self::Except { except } => except.iter().all(|one| one != id),
        }
    }
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Remove,
    Active(bool),
    Unchanged,
}

/// What a task becomes when its target's input is `value`; `None` when it cannot be known.
fn judge(task: &Task, value: Option<&Value>, before: Option<bool>) -> Verdict {
    let (Some(when), Some(input)) = (task.when, &task.input) else {
        return Verdict::Active(true);
    };
    let Some(value) = value else {
        return Verdict::Active(before.unwrap_or(true));
    };
    let met = input
        .accept
        .iter()
        .any(|part| is_met(&Value::Object(part.clone()), value));
    match (met, when.once) {
        (true, true) => Verdict::Remove,
        (met, _) => Verdict::Active(!met),
    }
}

/// What a task becomes when its action ran with `input`.
fn judge_run(task: &Task, input: &Value) -> Verdict {
    let (Some(when), Some(wanted)) = (task.when, &task.input) else {
        return Verdict::Remove;
    };
    let mut parts = wanted.accept.iter().map(|part| Value::Object(part.clone()));
    if parts.clone().any(|part| is_met(&part, input)) {
        return if when.once {
            Verdict::Remove
        } else {
            Verdict::Active(false)
        };
    }
    if parts.all(|part| conflicts(&part, input)) {
        return Verdict::Active(true);
    }
    Verdict::Unchanged
}

/// Writes a verdict; `true` when the source has to stop for it.
fn apply(entry: &mut PackageEntry, replay_id: &str, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Remove => {
            entry.tasks.remove(replay_id);
            false
        }
        Verdict::Active(active) => {
            let Some(task) = entry.tasks.get_mut(replay_id) else {
                return false;
            };
            task.active = active;
            let stops = active && task.task.severity == Severity::Critical;
            if stops {
                let cause = Cause::ConfigurationMissing {
                    package: task.task.package_id.clone(),
                    action: task.task.action_id.clone(),
                    reason: task.task.reason.clone(),
                };
                let wish = entry.status_info.desired.stop();
                if wish != entry.status_info.desired {
                    entry.status_info.desired = wish;
                    let action = "it is stopped, and can be started when the action was run";
                    records::note(entry, Event::new("service", cause, action).by(By::Package));
                }
            }
            stops
        }
        Verdict::Unchanged => false,
    }
}

/// Whether a critical task keeps this service from running; its reason, when it gave one.
#[must_use]
pub fn blocking(entry: &PackageEntry) -> Option<&Task> {
    let mut active = entry.tasks.values().filter(|one| one.active);
    active
        .find(|one| one.task.severity == Severity::Critical)
        .map(|one| &one.task)
}

/// Stores a task of `source`, active or not by its condition.
///
/// # Errors
/// When the store fails.
pub async fn create(
    source: &Arc<ServiceContext>,
    replay_id: String,
    task: Task,
) -> Result<(), Problem> {
    let value = match task.when {
        Some(_) => current_input(source, &task.package_id, &task.action_id).await,
        None => None,
    };
    let stop = source
        .update("create-task", move |entry| {
            let before = entry.tasks.get(&replay_id).map(|one| one.active);
            let verdict = judge(&task, value.as_ref(), before);
            if verdict != Verdict::Remove {
                entry.tasks.insert(
                    replay_id.clone(),
                    TaskEntry {
                        task,
                        active: false,
                    },
                );
            }
            Ok(apply(entry, &replay_id, verdict))
        })
        .await?;
    if stop {
        source.reports.clear();
        source.raise_wish();
    }
    Ok(())
}

/// The present input of an action, when it can be had without waiting for somebody's `init`.
async fn current_input(asking: &Arc<ServiceContext>, package: &str, action: &str) -> Option<Value> {
    let target = asking.host.service(package)?;
    let ready = matches!(
        *target.phase.borrow(),
        RuntimePhase::Idle
            | RuntimePhase::Changing
            | RuntimePhase::Running
            | RuntimePhase::Asleep
            | RuntimePhase::Waking
    );
    if !ready {
        return None;
    }
    let input = actions::get_input(&target, action, None, None).await.ok()?;
    Some(input.get("value").cloned().unwrap_or(Value::Null))
}

/// An action of `target` ran with `input`: tasks about it are met, or asked again.
pub async fn action_ran(target: &Arc<ServiceContext>, action: &str, input: &Value) {
    for_tasks_about(target, Some(action), |task, _| judge_run(task, input)).await;
}

/// Asks the tasks actor of `target` to look again at every conditional task about it.
pub fn reevaluate_later(target: &Arc<ServiceContext>, action: Option<String>) {
    // Without an actor the service is going down or coming up, and `init` ends with a look at all.
    target.tasks.cast(TasksMsg::Reevaluate { action });
}

async fn reevaluate(target: &Arc<ServiceContext>, action: Option<&str>) {
    let mut inputs: BTreeMap<String, Option<Value>> = BTreeMap::new();
    for (_, tasks) in target.host.document.tasks_about(&target.id) {
        for one in tasks.values() {
            let asked = action.is_none_or(|id| id == one.task.action_id);
            if asked && one.task.when.is_some() && !inputs.contains_key(&one.task.action_id) {
                let input = current_input(target, &target.id, &one.task.action_id).await;
                inputs.insert(one.task.action_id.clone(), input);
            }
        }
    }
    for_tasks_about(target, action, |task, active| match task.when {
        Some(_) => judge(
            task,
            inputs.get(&task.action_id).and_then(Option::as_ref),
            Some(active),
        ),
        None => Verdict::Unchanged,
    })
    .await;
}

/// Judges every task of every package that is about `target`, and writes what changed.
async fn for_tasks_about(
    target: &Arc<ServiceContext>,
    action: Option<&str>,
    judge: impl Fn(&Task, bool) -> Verdict,
) {
    for (source, tasks) in target.host.document.tasks_about(&target.id) {
        let Some(source) = target.host.service(&source) else {
            continue;
        };
        let verdicts: Vec<(String, Task, Verdict)> = tasks
            .into_iter()
            .filter(|(_, one)| action.is_none_or(|id| id == one.task.action_id))
            .map(|(id, one)| {
                let verdict = judge(&one.task, one.active);
                (id, one.task, verdict)
            })
            .filter(|(_, _, verdict)| *verdict != Verdict::Unchanged)
            .collect();
        if verdicts.is_empty() {
            continue;
        }
        let written = source
            .update("tasks", move |entry| {
                let mut stop = false;
                for (id, task, verdict) in &verdicts {
                    // The package may have replaced the task since it was judged.
                    if entry.tasks.get(id).is_some_and(|now| now.task == *task) {
                        stop |= apply(entry, id, *verdict);
                    }
                }
                Ok(stop)
            })
            .await;
        match written {
            Ok(true) => {
                source.reports.clear();
                source.raise_wish();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(service = source.id, %error, "tasks were not updated"),
        }
    }
}

/// Messages of the tasks actor.
#[derive(Debug)]
pub enum TasksMsg {
    /// The target's action, or any of them, may have another input now.
    Reevaluate {
        /// Only this action.
        action: Option<String>,
    },
}

/// Keeps tasks about one service true; see the module.
#[derive(Debug)]
pub struct TasksActor;

impl Actor for TasksActor {
    type Msg = TasksMsg;
    type State = Arc<ServiceContext>;
    type Arguments = Arc<ServiceContext>;

    async fn pre_start(
        &self,
        myself: ActorRef<TasksMsg>,
        service: Arc<ServiceContext>,
    ) -> Result<Self::State, ActorProcessingErr> {
        service.tasks.set(myself);
        Ok(service)
    }

    async fn handle(
        &self,
        _: ActorRef<TasksMsg>,
        message: TasksMsg,
        service: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let TasksMsg::Reevaluate { action } = message;
        let service = Arc::clone(service);
        // Forms are made by package code, which takes its time; a stop must be heard meanwhile.
        tokio::spawn(async move { reevaluate(&service, action.as_deref()).await });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{TaskCondition, TaskInput, TaskWhen};

    fn task(once: Option<bool>, accept: &[Value]) -> Task {
        let accept = accept
            .iter()
            .map(|one| one.as_object().unwrap().clone())
            .collect();
        Task {
            package_id: "db".into(),
            action_id: "config".into(),
            severity: Severity::Critical,
            reason: None,
            when: once.map(|once| TaskWhen {
                condition: TaskCondition::InputNotMatches,
                once,
            }),
            input: Some(TaskInput {
                accept,
                set: serde_json::Map::new(),
            }),
        }
    }

    #[test]
    fn a_task_without_condition_is_active_until_its_action_ran() {
        let task = task(None, &[]);
        assert_eq!(judge(&task, Some(&json!({})), None), Verdict::Active(true));
        assert_eq!(judge_run(&task, &json!(null)), Verdict::Remove);
    }

    #[test]
    fn a_condition_that_is_met_puts_the_task_to_sleep_or_ends_it() {
        let accept = [json!({"prune": false}), json!({"prune": null})];
        for (once, value, verdict) in [
            (false, json!({"prune": false}), Verdict::Active(false)),
            (true, json!({"prune": false}), Verdict::Remove),
            (false, json!({}), Verdict::Active(false)),
            (false, json!({"prune": true}), Verdict::Active(true)),
            (true, json!({"prune": true}), Verdict::Active(true)),
        ] {
            assert_eq!(
                judge(&task(Some(once), &accept), Some(&value), None),
                verdict,
                "{once} {value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_evaluated_keeps_what_it_was_and_is_active_when_new() {
        let task = task(Some(false), &[json!({"a": 1})]);
        assert_eq!(judge(&task, None, Some(false)), Verdict::Active(false));
        assert_eq!(judge(&task, None, None), Verdict::Active(true));
    }

    #[test]
    fn a_run_that_neither_meets_nor_conflicts_changes_nothing() {
        let task = task(Some(false), &[json!({"a": 1, "b": 2})]);
        assert_eq!(judge_run(&task, &json!({"a": 1})), Verdict::Unchanged);
        assert_eq!(judge_run(&task, &json!({"a": 3})), Verdict::Active(true));
        assert_eq!(
            judge_run(&task, &json!({"a": 1, "b": 2})),
            Verdict::Active(false)
        );
    }

    #[test]
    fn a_legacy_task_input_is_both_accepted_and_set() {
        let input: TaskInput =
            serde_json::from_value(json!({"kind": "partial", "value": {"a": 1}})).unwrap();
        assert_eq!(input.accept, std::slice::from_ref(&input.set));
    }

    #[test]
    fn a_selection_names_tasks_or_all_others() {
        let read = |value| serde_json::from_value::<TaskSelection>(value);
        let only = read(json!({ "only": ["a"], "eventId": "e" })).unwrap();
        assert!(only.selects("a") && !only.selects("b"));
        assert!(read(json!({ "eventId": "e" })).is_err());
        let except = read(json!({ "except": ["a"], "eventId": "e" })).unwrap();
        assert!(!except.selects("a") && except.selects("b"));
    }
}
