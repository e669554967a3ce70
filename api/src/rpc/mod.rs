//! JSON-RPC 2.0: every method, and how a call gets to it.
//!
//! A method is one row of [`METHODS`]: its name, who may call it, what it is for, and its function.
//! Names and shapes are StartOS's where it has the method (`rpc-api.md`).

pub(crate) mod audit;
pub(crate) mod logs;

mod accounts;
mod db;
mod packages;
mod server;

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use coppice_actors::{Kind, Problem, model::By};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tracing::Instrument;

use audit::Leaves;

use crate::{
    caller::{Caller, Role},
    gateway::Gate,
};

/// Calls in one batch.
const MAX_BATCH: usize = 64;

const PARSE: i32 = -32700;
const REQUEST: i32 = -32600;
const METHOD: i32 = -32601;
const PARAMS: i32 = -32602;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody.
    Nothing,
    /// Somebody who signed in with this role, or root.
    Role(Role),
    /// Root on this machine.
    Root,
}

/// One method.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Who may call it.
    pub needs: Needs,
    /// Whether a call leaves a row in the audit trail.
    pub leaves: Leaves,
    /// Whether the answer says how far the document is, so that a client can wait for it.
    pub sync: bool,
    /// What it is for.
    pub about: &'static str,
    run: fn(Call) -> BoxFuture<'static, Result<Value, Failure>>,
}

macro_rules! methods {
    ($($name:literal $needs:ident $(($role:ident))? $leaves:ident $(($($object:literal)+))?
        $sync:literal $run:path : $about:literal;)*) => {
        /// Every method.
        pub static METHODS: &[Method] = &[$(Method {
            name: $name,
            needs: Needs::$needs $((Role::$role))?,
            leaves: Leaves::$leaves $((&[$($object),+]))?,
            sync: $sync,
            about: $about,
            run: |call| $run(call).boxed(),
        }),*];
    };
}

methods! {
    "echo" Nothing Nothing false server::echo: "Gives back `message`.";
    "state" Nothing Nothing false server::state: "Gives `running` once the server answers.";
    "git-info" Role(Admin) Nothing false server::version: "Gives the version of this server.";
    "server.time" Role(Admin) Nothing false server::time: "Gives the server's time and how long it has been up, in seconds.";
    "server.tree" Role(Admin) Nothing false server::tree: "Gives the live tree of actors.";
    "server.stop" Root Row false server::stop: "Ends Coppice; with `services`, takes the services down first.";
    "server.upgrade" Root Row false server::upgrade: "Changes to the program at `program`; gives the `attempt` that its receipt will name.";
    "server.receipts" Role(Admin) Nothing false server::receipts: "Gives what the server found, removed and changed about itself, oldest first.";
    "auth.login" Nothing Row false accounts::login: "Begins a session for `password`.";
    "auth.logout" Role(Admin) Row false accounts::logout: "Ends the caller's session.";
    "auth.session.list" Role(Admin) Nothing false accounts::list: "Gives all sessions and which is the caller's.";
    "auth.session.kill" Role(Admin) Row false accounts::kill: "Ends the sessions in `ids`.";
    "auth.reset-password" Role(Admin) Row false accounts::reset_password: "Changes the password and ends all sessions.";
    "auth.set-password" Root Row false accounts::set_password: "Sets the password, without the old one; with `onlyFirst`, only if none was ever set.";
    "auth.audit" Root Nothing false audit::read: "Gives who asked for what, oldest first.";
    "db.dump" Role(Admin) Nothing false db::dump: "Gives the value at `pointer` below /public.";
    "db.log" Root Nothing false db::log: "Gives who changed what, when and why, newest first: the last `limit` revisions that touched `pointer`, between `from` and `to`.";
    "db.check" Root Nothing false db::check: "Reads the whole store and compares it with its checksums.";
    "db.compact" Root Row false db::compact: "Gives back the room that the store no longer needs.";
    "db.export" Root Row false db::export: "Gives the whole document, private values included.";
    "db.subscribe" Role(Admin) Nothing false db::subscribe: "Gives the value at `pointer` and a stream of what changes.";
    "package.list" Role(Admin) Nothing false packages::list: "Gives every package with its state.";
    "package.status" Role(Admin) Nothing false packages::status: "Gives one package with everything shown of it.";
    "package.installed-version" Role(Admin) Nothing false packages::installed_version: "Gives the version of a package, or null.";
    "package.install-file" Root Row true packages::install_file: "Installs the .s9pk at `path` on this machine, or updates what is there to it.";
    "package.sideload" Role(Admin) RowLater false packages::sideload: "Gives tickets for sending a .s9pk and for watching it.";
    "package.cancel-install" Role(Admin) RowOf("id") false packages::cancel_install: "Calls the update of a package off; the version before is put back.";
    "package.rebuild" Role(Admin) RowOf("id") true packages::rebuild: "Makes the container of a service anew.";
    "package.uninstall" Role(Admin) RowOf("id") true packages::uninstall: "Removes a package; `soft` keeps its volumes.";
    "package.start" Role(Admin) RowOf("id") true packages::start: "Wants a service running.";
    "package.stop" Role(Admin) RowOf("id") true packages::stop: "Wants a service stopped.";
    "package.restart" Role(Admin) RowOf("id") true packages::restart: "Wants a running service stopped and started.";
    "package.why" Role(Admin) Nothing false packages::why: "Gives why a service is as it is, and its restart records.";
    "package.daemons" Role(Admin) Nothing false packages::daemons: "Gives the living daemons of a service and what they use.";
    "package.limits" Role(Admin) Nothing false packages::limits: "Gives what a service may use.";
    "package.set-limits" Role(Admin) RowOf("id") true packages::set_limits: "Sets what a service may use.";
    "package.action.get-input" Role(Admin) Nothing false packages::get_input: "Gives the form of an action.";
    "package.action.run" Role(Admin) RowOf("packageId" "actionId") false packages::run_action: "Runs an action.";
    "package.action.clear-task" Role(Admin) RowOf("packageId" "replayId") false packages::clear_task: "Dismisses a task.";
    "package.logs" Role(Admin) Nothing false logs::read: "Gives log lines of a service.";
    "package.logs.follow" Role(Admin) Nothing false logs::follow: "Gives a stream of log lines of a service.";
}

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
    context: Context,
    method: &'static str,
    params: Value,
    cookies: tokio::sync::mpsc::UnboundedSender<String>,
    signed_in: Arc<OnceLock<Caller>>,
}

impl Call {
    /// The parameters, typed.
    fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.params.clone()).map_err(|error| {
            let method = self.method;
            let why = format!("`{method}` cannot be called with these parameters: {error}");
            Failure::protocol(PARAMS, why)
        })
    }

    fn coppice(&self) -> &coppice_actors::Coppice {
        &self.context.gate.coppice
    }

    /// Who calls, as a restart record names them.
    fn by(&self) -> By {
        By::Account {
            name: self.context.caller.account().to_owned(),
        }
    }
}

/// Why a call has no result.
pub(crate) struct Failure {
    code: i32,
    message: String,
    data: Value,
}

impl Failure {
    fn protocol(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Value::Null,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.kind.code(),
            message: problem.kind.words().to_owned(),
            data: problem.data(),
        }
    }
}

/// The error object of a problem, for answers that are not JSON-RPC.
pub(crate) fn error_object(problem: &Problem) -> Value {
    let kind = problem.kind;
    json!({ "code": kind.code(), "message": kind.words(), "data": problem.data() })
}

/// The whole answer to one body.
pub(crate) struct Answered {
    pub(crate) body: Vec<u8>,
    pub(crate) cookies: Vec<String>,
    pub(crate) sequence: Option<u64>,
}

impl Answered {
    /// The answer to a body that was not looked at.
    pub(crate) fn refused(problem: Problem) -> Self {
        Self {
            body: failed(Value::Null, problem.into()).to_string().into_bytes(),
            cookies: Vec::new(),
            sequence: None,
        }
    }
}

/// Answers a body: one call, or a batch of them.
pub(crate) async fn answer(context: &Context, body: &[u8]) -> Answered {
    let (cookies, mut set) = tokio::sync::mpsc::unbounded_channel();
    let mut sync = false;
    let answered = match serde_json::from_slice::<Value>(body) {
        Err(error) => failed(
            Value::Null,
            Failure::protocol(PARSE, format!("the request is not JSON: {error}")),
        ),
        Ok(Value::Array(calls)) if calls.is_empty() || calls.len() > MAX_BATCH => {
            let why = format!("a batch holds 1 to {MAX_BATCH} calls; send several");
            failed(Value::Null, Failure::protocol(REQUEST, why))
        }
        Ok(Value::Array(calls)) => {
            let answers = join_all(
                calls
                    .into_iter()
                    .map(|call| one(context, call, cookies.clone())),
            )
            .await;
            sync = answers.iter().any(|(_, sync)| *sync);
            Value::Array(answers.into_iter().map(|(answer, _)| answer).collect())
        }
        Ok(call) => {
            let (answer, moved) = one(context, call, cookies.clone()).await;
            sync = moved;
            answer
        }
    };
    drop(cookies);
    let mut collected = Vec::new();
    while let Some(cookie) = set.recv().await {
        collected.push(cookie);
    }
    let sequence = sync.then(|| {
        let store = context.gate.coppice.host().document.store().public_store();
        store.keep_up();
        store.sequence()
    });
    Answered {
        body: answered.to_string().into_bytes(),
        cookies: collected,
        sequence,
    }
}

async fn one(
    context: &Context,
    call: Value,
    cookies: tokio::sync::mpsc::UnboundedSender<String>,
) -> (Value, bool) {
    let Value::Object(mut call) = call else {
        return (
            failed(
                Value::Null,
                Failure::protocol(REQUEST, "a call is an object with `method` and `params`"),
            ),
            false,
        );
    };
    let id = call.remove("id").unwrap_or(Value::Null);
    let Some(Value::String(name)) = call.remove("method") else {
        return (
            failed(
                id,
                Failure::protocol(REQUEST, "`method` is missing, or is not a text"),
            ),
            false,
        );
    };
    let params = call
        .remove("params")
        .unwrap_or_else(|| Value::Object(Map::new()));
    if !params.is_object() {
        return (
            failed(
                id,
                Failure::protocol(
                    PARAMS,
                    format!("the `params` of `{}` are an object", shown(&name)),
                ),
            ),
            false,
        );
    }
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        let why = format!(
            "this server has no method `{}`; it may be older or newer than the program that asks",
            shown(&name)
        );
        return (failed(id, Failure::protocol(METHOD, why)), false);
    };
    let span = tracing::info_span!(
        "rpc",
        method = method.name,
        caller = context.caller.account()
    );
    match call_method(context, method, params, cookies)
        .instrument(span)
        .await
    {
        Ok(result) => (
            json!({ "jsonrpc": "2.0", "result": result, "id": id }),
            method.sync,
        ),
        Err(failure) => (failed(id, failure), method.sync),
    }
}

async fn call_method(
    context: &Context,
    method: &'static Method,
    params: Value,
    cookies: tokio::sync::mpsc::UnboundedSender<String>,
) -> Result<Value, Failure> {
    let object = method.leaves.object(&params);
    if let Err(refused) = allowed(method, &context.caller) {
        if method.leaves != Leaves::Nothing {
            let code = refused.kind.code();
            audit::record(context, &context.caller, method.name, object, Some(code)).await;
        }
        return Err(refused.into());
    }
    let signed_in = Arc::default();
    let call = Call {
        context: context.clone(),
        method: method.name,
        params,
        cookies,
        signed_in: Arc::clone(&signed_in),
    };
    let request = format!("{} by {}", method.name, context.caller.account());
    let running = coppice_actors::request::serving(request, (method.run)(call));
    let running = AssertUnwindSafe(running).catch_unwind();
    let running = running.map(|done| done.unwrap_or_else(|_| Err(crashed(method))));
    if matches!(method.leaves, Leaves::Nothing | Leaves::RowLater) {
        return running.await;
    }
    // A task of its own: who asked may hang up, and what was begun is ended and recorded all the same.
    let context = context.clone();
    let recorded = async move {
        let done = running.await;
        let who = signed_in.get().unwrap_or(&context.caller);
        let error = done.as_ref().err().map(|failure| failure.code);
        audit::record(&context, who, method.name, object, error).await;
        done
    };
    tokio::spawn(recorded.in_current_span())
        .await
        .unwrap_or_else(|_| Err(crashed(method)))
}

/// What somebody called a method, cut to what can be shown.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
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

fn allowed(method: &Method, caller: &Caller) -> Result<(), Problem> {
    let why = match (method.needs, caller) {
        (Needs::Nothing, _) | (_, Caller::Root) => return Ok(()),
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

fn failed(id: Value, failure: Failure) -> Value {
    let Failure {
        code,
        message,
        data,
    } = failure;
    json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message, "data": data }, "id": id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice_and_each_says_what_it_is_for() {
        let mut names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(METHODS.iter().all(|method| method.about.ends_with('.')));
    }

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
}
