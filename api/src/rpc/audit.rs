//! The audit trail: who asked for what, from where, when, and how it ended.
//!
//! Invariants: a row never holds a parameter's text, but for ids; what was refused to strangers
//! leaves no row, but for wrong passwords and codes, and now and then for a token or a signature that
//! opens nothing, so that the trail cannot be flooded; a row that cannot be written does not undo what
//! was done.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use coppice_actors::{
    Kind,
    model::{AuditRow, AuditTrail, ShownBy},
};
use coppice_clock::{Mono, Wall};
use serde_json::Value;

use super::{Call, Context, Failure, shapes::Nothing};
use crate::caller::{Caller, Credential};

/// Bytes of an id in a row.
const LONGEST_ID: usize = 128;
/// Ids of one list in a row.
const IDS_SHOWN: usize = 4;
/// One row in this time tells of tokens and signatures that open nothing: whoever has none can show as
/// many as they like.
const REFUSALS_EVERY: Duration = Duration::from_secs(10);

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
        let ids = names.iter().map(|name| ids(params.get(name)?));
        Some(ids.collect::<Option<Vec<_>>>()?.join("/"))
    }
}

/// The id in a parameter, or the first few of a list of them.
fn ids(value: &Value) -> Option<String> {
    let Value::Array(list) = value else {
        return id(value);
    };
    let shown = list.iter().take(IDS_SHOWN).map(id);
    let mut shown = shown.collect::<Option<Vec<_>>>()?;
    if list.len() > IDS_SHOWN {
        shown.push("…".to_owned());
    }
    Some(shown.join(","))
}

/// Lets through one of many.
#[derive(Default)]
pub(crate) struct Sparing(Mutex<Option<Mono>>);

impl Sparing {
    fn lets_through(&self, now: Mono) -> bool {
        // Nothing panics while it is held.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rare = last.is_none_or(|last| now.since(last) >= REFUSALS_EVERY);
        if rare {
            *last = Some(now);
        }
        rare
    }
}

/// The number or text, if it can be an id. Anything else may be what somebody typed into the wrong field.
fn id(value: &Value) -> Option<String> {
    let Some(text) = value.as_str() else {
        return Some(value.as_u64()?.to_string());
    };
    let is_id = (1..=LONGEST_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'));
    is_id.then(|| text.to_owned())
}

/// Which trail a row belongs to; none for most of what strangers are refused.
fn trail(who: &Caller, error: Option<i32>) -> Option<AuditTrail> {
    let guessed = [Kind::IncorrectPassword, Kind::CodeNeeded, Kind::WrongCode];
    match who {
        Caller::Root | Caller::Account { .. } => Some(AuditTrail::People),
        Caller::Anonymous if guessed.iter().any(|kind| error == Some(kind.code())) => {
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
    write(context, trail, who, method, object, error).await;
}

/// Writes a row of a token or a signature that opened nothing, now and then.
pub(super) async fn record_refusal(context: &Context, method: &str, error: i32) {
    if context.gate.refusals.lets_through(Mono::now()) {
        let (trail, who) = (AuditTrail::Strangers, &context.caller);
        write(context, trail, who, method, None, Some(error)).await;
    }
}

async fn write(
    context: &Context,
    trail: AuditTrail,
    who: &Caller,
    method: &str,
    object: Option<String>,
    error: Option<i32>,
) {
    let row = AuditRow {
        at: Wall::now(),
        account: who.account().to_owned(),
        role: who.role().to_owned(),
        with: who.credential().map(shown_by),
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

fn shown_by(with: &Credential) -> ShownBy {
    let kind = match with {
        Credential::Session { .. } => "session",
        Credential::Token { .. } => "token",
        Credential::Key { .. } => "key",
    };
    ShownBy {
        kind: kind.to_owned(),
        id: with.id().to_owned(),
        scope: with.scope().map(|scope| scope.name().to_owned()),
    }
}

pub(super) async fn read(call: Call, _: Nothing) -> Result<Vec<AuditRow>, Failure> {
    Ok(call.coppice().host().document.audit_rows())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::METHODS, *};
    use crate::caller::Scope;

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
            "server.set-smtp",
            "server.clear-smtp",
            "server.test-smtp",
            "auth.login",
            "auth.logout",
            "auth.session.kill",
            "auth.reset-password",
            "auth.set-password",
            "auth.token.create",
            "auth.token.revoke",
            "auth.key.add",
            "auth.key.remove",
            "auth.totp.enrol",
            "auth.totp.confirm",
            "auth.totp.disable",
            "db.compact",
            "db.export",
            "package.install-file",
            "package.sideload",
            "package.cancel-install",
            "package.rebuild",
            "package.uninstall",
            "package.start",
            "package.stop",
            "package.restart",
            "package.set-limits",
            "package.action.run",
            "package.action.clear-task",
            "notification.remove",
            "notification.remove-before",
            "notification.mark-seen",
            "notification.mark-seen-before",
            "notification.mark-unseen",
            "notification.create",
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
        assert_eq!(leaves.object(&json!({ "packageId": true })), None);
        assert_eq!(Leaves::Row.object(&good), None);
    }

    #[test]
    fn of_a_list_of_ids_the_first_few_are_kept() {
        let object = |ids| Leaves::RowOf(&["ids"]).object(&json!({ "ids": ids }));
        assert_eq!(object(json!(["a", "b"])).as_deref(), Some("a,b"));
        let many = json!(["a", "b", "c", "d", "e", "f"]);
        assert_eq!(object(many).as_deref(), Some("a,b,c,d,…"));
        assert_eq!(object(json!([7, 8])).as_deref(), Some("7,8"));
        assert_eq!(object(json!(["a", "my secret word"])), None);
        assert_eq!(object(json!(["a", -0.5])), None);
    }

    #[test]
    fn a_flood_of_bad_tokens_leaves_a_row_now_and_then() {
        let sparing = Sparing::default();
        let rows = (0..60_000).filter(|now| sparing.lets_through(Mono::from_millis(*now)));
        assert_eq!(rows.count(), 6);
    }

    #[test]
    fn a_row_says_with_what_somebody_showed_who_they_are() {
        let (id, scope) = ("abc".into(), Scope::Services);
        let token = shown_by(&Credential::Token { id, scope });
        let expected = ("token", "abc", Some("services"));
        let found = (&*token.kind, &*token.id, token.scope.as_deref());
        assert_eq!(found, expected);
        let session = shown_by(&Credential::Session { id: "abc".into() });
        assert_eq!((&*session.kind, session.scope), ("session", None));
    }

    #[test]
    fn of_strangers_only_wrong_passwords_and_codes_are_kept_and_apart() {
        for guessed in [Kind::IncorrectPassword, Kind::CodeNeeded, Kind::WrongCode] {
            let trail = trail(&Caller::Anonymous, Some(guessed.code()));
            assert_eq!(trail, Some(AuditTrail::Strangers));
        }
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
