//! The audit trail: who asked for what, from where, when, and how it ended.
//!
//! Invariants: a row never holds a parameter's text, but for ids; what was refused to strangers
//! leaves no row, but for a wrong password, so that the trail cannot be flooded; a row that cannot
//! be written does not undo what was done.

use coppice_actors::{
    Kind,
    model::{AuditRow, AuditTrail},
};
use coppice_clock::Wall;
use serde_json::Value;

use super::{Call, Context, Failure, shapes::Nothing};
use crate::caller::Caller;

/// Bytes of an id in a row.
const LONGEST_ID: usize = 128;

/// What a call of a method leaves in the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: it changes nothing.
    Nothing,
    /// A row.
    Row,
    /// A row, with the ids in these parameters.
    RowOf(&'static [&'static str]),
    /// A row when what it has prepared is done, by whoever does that.
    RowLater,
}

impl Leaves {
    /// What the call is about, as far as it can be recorded.
    pub(super) fn object(self, params: &Value) -> Option<String> {
        let Self::RowOf(names) = self else {
            return None;
        };
        let ids = names.iter().map(|name| id(params.get(name)?.as_str()?));
        Some(ids.collect::<Option<Vec<_>>>()?.join("/"))
    }
}

/// The text, if it can be an id. Anything else may be what somebody typed into the wrong field.
fn id(text: &str) -> Option<&str> {
    let is_id = (1..=LONGEST_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'));
    is_id.then_some(text)
}

/// Which trail a row belongs to; none for most of what strangers are refused.
fn trail(who: &Caller, error: Option<i32>) -> Option<AuditTrail> {
    match who {
        Caller::Root | Caller::Session { .. } => Some(AuditTrail::People),
        Caller::Anonymous if error == Some(Kind::IncorrectPassword.code()) => {
            Some(AuditTrail::Strangers)
        }
        Caller::Anonymous => None,
    }
}

/// Writes a row.
pub(crate) async fn record(
    context: &Context,
    who: &Caller,
    method: &str,
    object: Option<String>,
    error: Option<i32>,
) {
    let Some(trail) = trail(who, error) else {
        return;
    };
    let row = AuditRow {
        at: Wall::now(),
        account: who.account().to_owned(),
        role: who.role().to_owned(),
        from: context.from,
        method: method.to_owned(),
        object,
        error,
    };
    let document = &context.gate.coppice.host().document;
    if let Err(problem) = document.add_audit_row(trail, row).await {
        tracing::warn!(method, %problem, "a call was not recorded");
    }
}

pub(super) async fn read(call: Call, _: Nothing) -> Result<Vec<AuditRow>, Failure> {
    Ok(call.coppice().host().document.audit_rows())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::METHODS, *};

    #[test]
    fn what_changes_something_leaves_a_row() {
        let leaving: Vec<&str> = METHODS
            .iter()
            .filter(|method| method.leaves != Leaves::Nothing)
            .map(|method| method.name)
            .collect();
        let expected = [
            "server.stop",
            "server.upgrade",
            "auth.login",
            "auth.logout",
            "auth.session.kill",
            "auth.reset-password",
            "auth.set-password",
            "db.compact",
            "db.export",
            "package.install-file",
            "package.sideload",
            "package.uninstall",
            "package.start",
            "package.stop",
            "package.restart",
            "package.set-limits",
            "package.action.run",
            "package.action.clear-task",
        ];
        assert_eq!(leaving, expected);
    }

    #[test]
    fn of_the_parameters_only_ids_are_kept() {
        let leaves = Leaves::RowOf(&["packageId", "actionId"]);
        let good =
            json!({ "packageId": "hello", "actionId": "set-name", "input": { "name": "x" } });
        assert_eq!(leaves.object(&good).as_deref(), Some("hello/set-name"));
        let typed = json!({ "packageId": "my secret word", "actionId": "set-name" });
        assert_eq!(leaves.object(&typed), None);
        assert_eq!(leaves.object(&json!({ "packageId": 7 })), None);
        assert_eq!(Leaves::Row.object(&good), None);
    }

    #[test]
    fn of_strangers_only_wrong_passwords_are_kept_and_apart() {
        let wrong = Some(Kind::IncorrectPassword.code());
        assert_eq!(
            trail(&Caller::Anonymous, wrong),
            Some(AuditTrail::Strangers)
        );
        let limited = Some(Kind::RateLimited.code());
        for error in [
            None,
            limited,
            Some(Kind::Authorization.code()),
            Some(-32602),
        ] {
            assert_eq!(trail(&Caller::Anonymous, error), None);
            assert_eq!(trail(&Caller::Root, error), Some(AuditTrail::People));
        }
    }
}
