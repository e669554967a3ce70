//! Running a package's actions: `service-abi.md` §7.2.
//!
//! Invariants: one action at a time per service, while forms are answered beside anything; a
//! package that runs its own action never waits for itself; a form and its submission share one
//! event id.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coppice_wire::runtime::{EXECUTE, get_input as get_input_path, run as run_path};
use serde_json::{Map, Value, json};

use super::{ServiceContext, tasks};
use crate::{
    ids,
    model::{Access, ActionMetadata, AllowedStatuses, PackageEntry, Visibility},
    problem::{Kind, Problem},
};

/// How long a form may take to be made.
const INPUT_PATIENCE: Duration = Duration::from_secs(30);
/// How long an action may run before the host gives up on its answer.
const RUN_PATIENCE: Duration = Duration::from_secs(120);
/// Event ids that are remembered per service.
const FORMS_KEPT: usize = 256;

/// Who wants an action run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A person, by account.
    User(String),
    /// A package, by id.
    Package(String),
}

/// Event ids under which a form was made; the package keeps its validator under them.
#[derive(Debug, Default)]
pub struct Forms(Mutex<VecDeque<(String, String)>>);

impl Forms {
    fn note(&self, action: &str, event: &str) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= FORMS_KEPT {
            made.pop_front();
        }
        made.push_back((action.to_owned(), event.to_owned()));
    }

    fn knows(&self, action: &str, event: &str) -> bool {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().any(|(one, id)| one == action && id == event)
    }

    /// Forgets everything: a new generation has no validators.
    pub fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn metadata(
    entry: &PackageEntry,
    service: &ServiceContext,
    action: &str,
) -> Result<ActionMetadata, Problem> {
    entry.actions.get(action).cloned().ok_or_else(|| {
        Problem::not_found(format!(
            "`{}` has no action `{action}`; see its actions for what it has",
            service.id
        ))
    })
}

/// The action's form: `{eventId, spec, value}`, or null when it has none.
///
/// # Errors
/// When there is no such action, the package fails, or it takes longer than 30 s.
pub async fn get_input(
    service: &Arc<ServiceContext>,
    action: &str,
    event: Option<String>,
    prefill: Option<Map<String, Value>>,
) -> Result<Value, Problem> {
    if !metadata(&service.entry()?, service, action)?.has_input {
        return Ok(Value::Null);
    }
    let event = event.unwrap_or_else(ids::guid);
    let input = execute(
        service,
        &event,
        get_input_path(action),
        json!({ "prefill": prefill }),
        INPUT_PATIENCE,
    )
    .await?;
    service.forms.note(action, &event);
    Ok(input)
}

/// Runs an action and does the bookkeeping of tasks. Gives the package's own result.
///
/// # Errors
/// When there is no such action, it may not run now or for this asker, or it fails.
pub async fn run(
    service: &Arc<ServiceContext>,
    action: &str,
    event: Option<String>,
    input: Value,
    asker: &Asker,
) -> Result<Value, Problem> {
    let described = check(service, action, asker)?;
    // The package's own code that runs an action of its own may hold the slot itself.
    let own = matches!(asker, Asker::Package(package) if *package == service.id);
    let _slot = if own {
        None
    } else {
        Some(service.exclusive.lock().await)
    };
    let event = event.unwrap_or_else(ids::guid);
    if described.has_input && !service.forms.knows(action, &event) {
        get_input(service, action, Some(event.clone()), None).await?;
    }
    let result = execute(
        service,
        &event,
        run_path(action),
        json!({ "input": input }),
        RUN_PATIENCE,
    )
    .await?;
    tasks::action_ran(service, action, &input).await;
    Ok(result)
}

fn check(
    service: &Arc<ServiceContext>,
    action: &str,
    asker: &Asker,
) -> Result<ActionMetadata, Problem> {
    let entry = service.entry()?;
    let described = metadata(&entry, service, action)?;
    let refused = |why: String| Err(Problem::new(Kind::Action, why));
    let name = &described.name;
    if let Visibility::Disabled(reason) = &described.visibility {
        return refused(format!("`{name}` cannot be run now: {reason}"));
    }
    let running = entry.status_info.started.is_some();
    match described.allowed_statuses {
        AllowedStatuses::OnlyRunning if !running => {
            return refused(format!(
                "`{name}` can only be run while `{}` is running; start it first",
                service.id
            ));
        }
        AllowedStatuses::OnlyStopped if running => {
            return refused(format!(
                "`{name}` can only be run while `{}` is stopped; stop it first",
                service.id
            ));
        }
        _ => {}
    }
    if let Asker::Package(package) = asker
        && *package != service.id
    {
        let allowed = match described.access {
            Access::Public => true,
            Access::Dependent => service
                .host
                .document
                .package(package)
                .is_some_and(|asking| asking.current_dependencies.contains_key(&service.id)),
            Access::User => false,
        };
        if !allowed {
            return Err(Problem::invalid(format!(
                "`{package}` may not run `{action}` of `{}`: its package does not open it to others",
                service.id
            )));
        }
    }
    Ok(described)
}

async fn execute(
    service: &Arc<ServiceContext>,
    event: &str,
    procedure: String,
    input: Value,
    patience: Duration,
) -> Result<Value, Problem> {
    let timeout = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let params = json!({ "id": event, "procedure": procedure, "input": input, "timeout": timeout });
    service
        .call_runtime(EXECUTE, params, patience)
        .await
        .map_err(|problem| match problem.kind {
            // What the package threw is the action's failure, whatever number it gave.
            Kind::Javascript | Kind::Unknown => Problem {
                kind: Kind::Action,
                ..problem
            },
            _ => problem,
        })
}

/// The result as people see it: what old packages return becomes the present form.
#[must_use]
pub fn present_result(result: Value, action: &str) -> Value {
    let old = result.get("version").and_then(Value::as_str) == Some("0");
    if !old {
        return result;
    }
    let value = match result.get("value") {
        None | Some(Value::Null) => Value::Null,
        Some(value) => json!({
            "type": "single",
            "value": value,
            "copyable": result["copyable"],
            "qr": result["qr"],
            "masked": false,
        }),
    };
    json!({ "version": "1", "title": action, "message": result["message"], "result": value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_result_becomes_the_present_form() {
        let old = json!({"version": "0", "message": "Done", "value": "abc", "copyable": true, "qr": false});
        let new = present_result(old, "Show key");
        assert_eq!(new["version"], "1");
        assert_eq!(new["result"]["value"], "abc");
        assert_eq!(new["result"]["masked"], false);
        assert_eq!(present_result(Value::Null, "x"), Value::Null);
    }

    #[test]
    fn forms_are_known_by_action_and_event_until_forgotten() {
        let forms = Forms::default();
        forms.note("a", "1");
        assert!(forms.knows("a", "1") && !forms.knows("b", "1") && !forms.knows("a", "2"));
        forms.forget();
        assert!(!forms.knows("a", "1"));
    }
}
