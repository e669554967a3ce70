//! Tasks: a package asks for an action of its own or another's to be run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

/// A task and whether it is asked for right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TaskEntry {
    /// What is asked.
    pub task: Task,
    /// Whether it is asked now; a conditional task sleeps while its condition is met.
    pub active: bool,
}

/// What is asked, of whom, how urgently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The package whose action is asked for.
    pub package_id: String,
    /// The action.
    pub action_id: String,
    /// How urgently.
    pub severity: Severity,
    /// Why, in the package's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<String>,
    /// When it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub when: Option<TaskWhen>,
    /// What the action's input should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, inline)]
    pub input: Option<TaskInput>,
}

/// How urgently a task is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The service does not run before it is done.
    Critical,
    /// Shown prominently.
    Important,
    /// Shown.
    Optional,
}

/// The condition that wakes and puts to sleep a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TaskWhen {
    /// The condition.
    pub condition: TaskCondition,
    /// Forget the task once it was met.
    pub once: bool,
}

/// Conditions of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum TaskCondition {
    /// The action's current input differs from every accepted one.
    InputNotMatches,
}

/// What input a task accepts and what it fills in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(from = "TaskInputWire", tag = "kind", rename = "partial")]
pub struct TaskInput {
    /// Inputs that satisfy the task; each is a part of the whole input.
    #[ts(type = "Record<string, unknown>[]")]
    pub accept: Vec<Map<String, Value>>,
    /// What the form is filled with.
    #[ts(type = "Record<string, unknown>")]
    pub set: Map<String, Value>,
}

/// Packages built with SDK 1.x send one `value` where later ones send `accept` and `set`.
#[derive(Deserialize)]
#[serde(untagged)]
enum TaskInputWire {
    Current {
        accept: Vec<Map<String, Value>>,
        set: Map<String, Value>,
    },
    Legacy {
        value: Map<String, Value>,
    },
}

impl From<TaskInputWire> for TaskInput {
    fn from(wire: TaskInputWire) -> Self {
        match wire {
            TaskInputWire::Current { accept, set } => Self { accept, set },
            TaskInputWire::Legacy { value } => Self {
                accept: vec![value.clone()],
                set: value,
            },
        }
    }
}
