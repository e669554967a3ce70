//! One call: whether it may be made, its turn, its deadline, its row in the audit trail.
//!
//! Invariants: nothing of a method runs for a caller who may not call it; every call has an end; what
//! leaves a row goes on to its end and is recorded, though its caller hung up or was told that it takes long.

use std::{
    fmt,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use coppice_actors::{
    Kind, Problem,
    model::By,
    request::{self, Asker},
};
use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tracing::Instrument;

use super::{
    audit::{self, Leaves},
    failure::Failure,
    method::{Answer, Effect, Method, Needs},
    turns::Who,
};
use crate::{
    caller::{Caller, Credential},
    gateway::Gate,
    throttle::Source,
};

/// What every call of a request has at hand.
pub struct Context {
    /// The server.
    pub gate: Arc<Gate>,
    /// Who calls.
    pub caller: Caller,
    /// Why what was shown to say who calls opens nothing.
    pub refusal: Option<Problem>,
    /// From which address.
    pub from: Option<IpAddr>,
    /// The browser, when it has signed in before.
    pub device: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.caller.account())
    }
}

impl Context {
    /// Whose tries at passwords these are.
    pub(super) fn source(&self) -> Option<Source> {
        let device = self.device.clone().map(Source::Device);
        device.or(self.from.map(Source::from))
    }
}

/// Cookies that calls of a request want sent with its answer.
#[derive(Clone, Default)]
pub(super) struct Cookies(Arc<Mutex<Vec<String>>>);

impl Cookies {
    /// Those that are wanted so far; what a call that was answered already wants later is sent to nobody.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.held())
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only the call itself finds out of what its row says.
#[derive(Default)]
struct Found {
    signed_in: OnceLock<Caller>,
    object: OnceLock<String>,
}

/// One call under way.
pub(crate) struct Call {
    pub(super) context: Arc<Context>,
    method: &'static str,
    cookies: Cookies,
    found: Arc<Found>,
}

impl Call {
    pub(super) const fn method(&self) -> &'static str {
        self.method
    }

    /// Has a cookie sent with the answer.
    pub(super) fn set_cookie(&self, cookie: String) {
        self.cookies.held().push(cookie);
    }

    /// Says who the caller is from now on.
    pub(super) fn sign_in(&self, caller: Caller) {
        // Each call signs in once at most.
        let _ = self.found.signed_in.set(caller);
    }

    /// Says the id of what the call made, for its row.
    pub(super) fn made(&self, id: String) {
        // Each call makes one thing at most.
        let _ = self.found.object.set(id);
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

/// Calls a method. What few calls need is on the heap: each call makes room for all of this.
pub(super) async fn call(
    context: &Arc<Context>,
    method: &'static Method,
    params: Map<String, Value>,
    cookies: Cookies,
) -> Answer {
    let params = Value::Object(params);
    let object = method.leaves.object(&params);
    if let Err(refused) = allowed(method, &context.caller) {
        let refused = Box::pin(refusal(context, method, object, refused)).await;
        return Err(refused.into());
    }
    let who = Who::of(&context.caller, context.from);
    let turn = context.gate.turns.of(method.within).take(who).await?;
    let found = Arc::<Found>::default();
    let call = Call {
        context: Arc::clone(context),
        method: method.name,
        cookies,
        found: Arc::clone(&found),
    };
    let running = running(call, method, params);
    let longest = method.within.longest();
    if matches!(method.leaves, Leaves::Nothing | Leaves::RowLater) {
        let _turn = turn;
        let running = running.instrument(span(method, &context.caller));
        let in_time = timeout(longest, running).await;
        return in_time.unwrap_or_else(|_| Err(late(method)));
    }
    // A task of its own: who asked may hang up, and what was begun is ended and recorded all the same.
    let context = Arc::clone(context);
    let span = span(method, &context.caller);
    let recorded = async move {
        let _turn = turn;
        let done = running.await;
        let who = found.signed_in.get().unwrap_or(&context.caller);
        let object = found.object.get().cloned().or(object);
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

/// What a caller is told who may not call a method, and its row.
async fn refusal(
    context: &Context,
    method: &Method,
    object: Option<String>,
    refused: Problem,
) -> Problem {
    let code = refused.kind.code();
    if let Some(shown) = &context.refusal {
        audit::record_refusal(context, method.name, code).await;
        return shown.clone();
    }
    if method.leaves != Leaves::Nothing {
        let who = &context.caller;
        audit::record(context, who, method.name, object, Some(code)).await;
    }
    refused
}

/// Runs a method for its request; one that panics has an answer all the same.
fn running(
    call: Call,
    method: &'static Method,
    params: Value,
) -> impl Future<Output = Answer> + Send {
    let by = Arc::clone(&call.context) as Asker;
    let running = request::serving(method.name, by, (method.run)(call, params));
    let running = AssertUnwindSafe(running).catch_unwind();
    running.map(|done| done.unwrap_or_else(|_| Err(crashed(method))))
}

/// What is logged of a call says which it was. Reads log next to nothing and come often: theirs are for traces only.
fn span(method: &Method, caller: &Caller) -> tracing::Span {
    let (name, caller) = (method.name, caller.account());
    if method.leaves == Leaves::Nothing {
        tracing::debug_span!("rpc", method = name, caller)
    } else {
        tracing::info_span!("rpc", method = name, caller)
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

pub(crate) fn allowed(method: &Method, caller: &Caller) -> Result<(), Problem> {
    let name = method.name;
    let refused = |why| Err(Problem::new(Kind::Authorization, why));
    let required = match (method.needs, caller) {
        (Needs::Nobody, _) | (_, Caller::Root) => return Ok(()),
        (Needs::Root, Caller::Account { .. } | Caller::Anonymous) => {
            return refused(format!(
                "`{name}` can only be called on the server itself, as root; use the command line there"
            ));
        }
        (Needs::Role(required) | Needs::Person(required), _) => required,
    };
    let Caller::Account {
        name: account,
        role,
        with,
    } = caller
    else {
        return refused(format!(
            "`{name}` is for people who signed in; sign in first"
        ));
    };
    if !role.covers(required) {
        let required = required.name();
        return refused(format!(
            "`{name}` needs the role `{required}`, which `{account}` does not have; ask somebody who has it"
        ));
    }
    let Some(scope) = with.scope() else {
        return Ok(());
    };
    let shown = match with {
        Credential::Session { .. } => return Ok(()),
        Credential::Token { .. } => "token",
        Credential::Key { .. } => "key",
    };
    if matches!(method.needs, Needs::Person(_)) {
        return refused(format!(
            "`{name}` is for a person, and no {shown} will do; sign in with the password"
        ));
    }
    let (needed, has) = (method.scope(), scope.name());
    if scope < needed {
        let needed = needed.name();
        return refused(format!(
            "`{name}` needs the scope `{needed}`, and this {shown} has `{has}`; make one that has more"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::METHODS, *};
    use crate::caller::{Role, Scope};

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

    fn account(with: Credential) -> Caller {
        Caller::Account {
            name: "admin".into(),
            role: Role::Admin,
            with,
        }
    }

    #[test]
    fn a_session_cannot_do_what_is_for_root() {
        let session = account(Credential::Session { id: "x".into() });
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
    fn tokens_and_keys_do_what_their_scope_says_and_nothing_that_is_for_a_person() {
        let id = || "x".into();
        for scope in [Scope::Read, Scope::Services, Scope::Admin] {
            for caller in [
                account(Credential::Token { id: id(), scope }),
                account(Credential::Key { id: id(), scope }),
            ] {
                for method in METHODS {
                    let may = match method.needs {
                        Needs::Nobody => true,
                        Needs::Role(_) => method.scope() <= scope,
                        Needs::Person(_) | Needs::Root => false,
                    };
                    let refused = allowed(method, &caller).err();
                    assert_eq!(refused.is_none(), may, "{} {scope:?}", method.name);
                    if let Some(refused) = refused {
                        assert_eq!(refused.kind, Kind::Authorization);
                        assert!(refused.details.contains("; "), "{}", refused.details);
                    }
                }
            }
        }
    }

    #[test]
    fn each_scope_opens_what_the_table_says_of_its_methods() {
        let of = |scope| {
            let role = METHODS
                .iter()
                .filter(|one| matches!(one.needs, Needs::Role(_)));
            Vec::from_iter(role.filter(|one| one.scope() == scope).map(|one| one.name))
        };
        for read in [
            "package.list",
            "package.logs.follow",
            "db.subscribe",
            "auth.session.list",
        ] {
            assert!(of(Scope::Read).contains(&read), "{read}");
        }
        for services in [
            "package.start",
            "package.sideload",
            "package.action.get-input",
        ] {
            assert!(of(Scope::Services).contains(&services), "{services}");
        }
        let changing = METHODS.iter().filter(|one| one.leaves != Leaves::Nothing);
        for method in changing {
            assert!(!of(Scope::Read).contains(&method.name), "{}", method.name);
        }
        for scope in [Scope::Read, Scope::Services] {
            assert!(of(scope).iter().all(|name| !name.starts_with("auth.token")));
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
