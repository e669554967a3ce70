//! One call: whether it may be made, its turn, its deadline, its row in the audit trail.
//!
//! Invariants: nothing of a method runs for a caller who may not call it; every call has an end; what
//! leaves a row goes on to its end and is recorded, though its caller hung up or was told that it takes long.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use coppice_actors::{Kind, Problem, model::By};
use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::{sync::mpsc::UnboundedSender, time::timeout};
use tracing::Instrument;

use super::{
    audit::{self, Leaves},
    failure::Failure,
    method::{Answer, Effect, Method, Needs},
    turns::Who,
};
use crate::{caller::Caller, gateway::Gate};

/// What every call has at hand.
#[derive(Clone)]
pub struct Context {
    /// The server.
    pub gate: Gate,
    /// Who calls.
    pub caller: Caller,
    /// From which address.
    pub from: Option<IpAddr>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

/// One call under way.
pub(crate) struct Call {
    pub(super) context: Context,
    method: &'static str,
    pub(super) cookies: UnboundedSender<String>,
    pub(super) signed_in: Arc<OnceLock<Caller>>,
}

impl Call {
    pub(super) const fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn coppice(&self) -> &coppice_actors::Coppice {
        &self.context.gate.coppice
    }

    /// Who calls, as a restart record names them.
    pub(super) fn by(&self) -> By {
        By::Account {
            name: self.context.caller.account().to_owned(),
        }
    }
}

/// Calls a method.
pub(super) async fn call(
    context: &Context,
    method: &'static Method,
    params: Map<String, Value>,
    cookies: UnboundedSender<String>,
) -> Answer {
    let span = tracing::info_span!(
        "rpc",
        method = method.name,
        caller = context.caller.account()
    );
    let params = Value::Object(params);
    let object = method.leaves.object(&params);
    if let Err(refused) = allowed(method, &context.caller) {
        if method.leaves != Leaves::Nothing {
            let code = refused.kind.code();
            audit::record(context, &context.caller, method.name, object, Some(code)).await;
        }
        return Err(refused.into());
    }
    let who = Who::of(&context.caller, context.from);
    let turn = context.gate.turns.of(method.within).take(who).await?;
    let signed_in = Arc::default();
    let call = Call {
        context: context.clone(),
        method: method.name,
        cookies,
        signed_in: Arc::clone(&signed_in),
    };
    let request = format!("{} by {}", method.name, context.caller.account());
    let running = coppice_actors::request::serving(request, (method.run)(call, params));
    let running = AssertUnwindSafe(running).catch_unwind();
    let running = running.map(|done| done.unwrap_or_else(|_| Err(crashed(method))));
    let longest = method.within.longest();
    if matches!(method.leaves, Leaves::Nothing | Leaves::RowLater) {
        let _turn = turn;
        let in_time = timeout(longest, running.instrument(span)).await;
        return in_time.unwrap_or_else(|_| Err(late(method)));
    }
    // A task of its own: who asked may hang up, and what was begun is ended and recorded all the same.
    let context = context.clone();
    let recorded = async move {
        let _turn = turn;
        let done = running.await;
        let who = signed_in.get().unwrap_or(&context.caller);
        let error = done.as_ref().err().map(|failure| failure.code);
        audit::record(&context, who, method.name, object, error).await;
        done
    };
    let recorded = tokio::spawn(recorded.instrument(span));
    match timeout(longest, recorded).await {
        Ok(done) => done.unwrap_or_else(|_| Err(crashed(method))),
        Err(_) => Err(late(method)),
    }
}

fn crashed(method: &Method) -> Failure {
    Problem::new(
        Kind::Unknown,
        format!(
            "`{}` failed inside Coppice; see its log, look how far it got, and try again",
            method.name
        ),
    )
    .into()
}

fn late(method: &Method) -> Failure {
    let seconds = method.within.longest().as_secs();
    let next = match method.effect {
        Effect::Reads => "try again; if it stays like this, see the server's log",
        Effect::Sets | Effect::Acts => "it goes on; look what came of it before you ask again",
    };
    let why = format!("`{}` has no answer after {seconds} s; {next}", method.name);
    Problem::new(Kind::Timeout, why).into()
}

pub(super) fn allowed(method: &Method, caller: &Caller) -> Result<(), Problem> {
    let why = match (method.needs, caller) {
        (Needs::Nobody, _) | (_, Caller::Root) => return Ok(()),
        (Needs::Role(required), Caller::Session { role, .. }) if role.covers(required) => {
            return Ok(());
        }
        (Needs::Role(required), Caller::Session { account, .. }) => format!(
            "`{}` needs the role `{}`, which `{account}` does not have; ask somebody who has it",
            method.name,
            required.name()
        ),
        (Needs::Role(_), Caller::Anonymous) => {
            format!(
                "`{}` is for people who signed in; sign in first",
                method.name
            )
        }
        (Needs::Root, Caller::Session { .. } | Caller::Anonymous) => format!(
            "`{}` can only be called on the server itself, as root; use the command line there",
            method.name
        ),
    };
    Err(Problem::new(Kind::Authorization, why))
}

#[cfg(test)]
mod tests {
    use super::{super::METHODS, *};
    use crate::caller::Role;

    #[test]
    fn without_a_session_only_the_listed_methods_may_be_called() {
        let open: Vec<&str> = METHODS
            .iter()
            .filter(|method| allowed(method, &Caller::Anonymous).is_ok())
            .map(|method| method.name)
            .collect();
        assert_eq!(open, ["echo", "state", "auth.login"]);
    }

    #[test]
    fn whoever_is_refused_is_told_which_method_it_was_and_what_to_do() {
        let refusals = METHODS
            .iter()
            .filter_map(|method| Some((method, allowed(method, &Caller::Anonymous).err()?)));
        for (method, refused) in refusals {
            assert_eq!(refused.kind, Kind::Authorization);
            let named = format!("`{}`", method.name);
            assert!(refused.details.starts_with(&named), "{}", refused.details);
            assert!(refused.details.contains("; "), "{}", refused.details);
        }
    }

    #[test]
    fn a_session_cannot_do_what_is_for_root() {
        let session = Caller::Session {
            account: "admin".into(),
            role: Role::Admin,
            id: "x".into(),
        };
        for method in METHODS {
            assert_eq!(
                allowed(method, &session).is_ok(),
                method.needs != Needs::Root,
                "{}",
                method.name
            );
        }
    }

    #[test]
    fn what_takes_too_long_says_what_to_do_by_what_it_does() {
        for method in METHODS {
            let late = late(method).object();
            assert_eq!(late["code"], Kind::Timeout.code());
            let details = late["data"]["details"].as_str().unwrap();
            assert!(details.starts_with(&format!("`{}`", method.name)));
            assert_eq!(
                details.contains("try again"),
                method.effect == Effect::Reads
            );
        }
    }
}
