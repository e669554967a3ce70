//! Actions: operations a package offers to people and to other packages.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a package says of one of its actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ActionMetadata {
    /// Name on the button.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Shown for confirmation before it runs.
    #[serde(default)]
    pub warning: Option<String>,
    /// Whether it is shown and may run.
    pub visibility: Visibility,
    /// In which states of the service it may run.
    pub allowed_statuses: AllowedStatuses,
    /// Whether a form comes first.
    pub has_input: bool,
    /// Heading it is listed under.
    #[serde(default)]
    pub group: Option<String>,
    /// Who besides the user may run it.
    #[serde(default)]
    pub access: Access,
}

/// Whether an action is shown and may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Shown; may run.
    Enabled,
    /// Not shown; tasks and effects may run it.
    Hidden,
    /// Shown greyed with this reason; may not run.
    Disabled(String),
}

/// In which states of the service an action may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedStatuses {
    /// Always.
    Any,
    /// While `started` is set.
    OnlyRunning,
    /// While `started` is not set.
    OnlyStopped,
}

/// Who besides the user may run an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Any package.
    Public,
    /// Packages that depend on this one.
    Dependent,
    /// Nobody.
    #[default]
    User,
}
