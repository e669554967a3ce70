//! JSON-RPC 2.0: every method, and how a call gets to it.
//!
//! A method is one row of [`METHODS`]: its name, who may call it, what it is for, and its function.
//! Names and shapes are StartOS's where it has the method (`rpc-api.md`).

pub(crate) mod logs;

mod accounts;
mod db;
mod packages;
mod server;

use std::net::IpAddr;

use coppice_actors::{Kind, Problem};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tracing::Instrument;

use crate::{auth::Caller, gateway::Gate};

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
    /// Somebody who signed in, or root.
    Session,
    /// Root on this machine.
    Root,
}

/// One method.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Who may call it.
    pub needs: Needs,
    /// Whether the answer says how far the document is, so that a client can wait for it.
    pub sync: bool,
    /// What it is for.
    pub about: &'static str,
    run: fn(Call) -> BoxFuture<'static, Result<Value, Failure>>,
}

macro_rules! methods {
    ($($name:literal $needs:ident $sync:literal $run:path : $about:literal;)*) => {
        /// Every method.
        pub static METHODS: &[Method] = &[$(Method {
            name: $name,
            needs: Needs::$needs,
            sync: $sync,
            about: $about,
            run: |call| $run(call).boxed(),
        }),*];
    };
}

methods! {
    "echo" Nothing false server::echo: "Gives back `message`.";
    "state" Nothing false server::state: "Gives `running` once the server answers.";
    "git-info" Session false server::version: "Gives the version of this server.";
    "server.time" Session false server::time: "Gives the server's time and how long it has been up, in seconds.";
    "server.tree" Session false server::tree: "Gives the live tree of actors.";
    "server.stop" Root false server::stop: "Ends Coppice; with `services`, takes the services down first.";
    "auth.login" Nothing false accounts::login: "Begins a session for `password`.";
    "auth.logout" Session false accounts::logout: "Ends the caller's session.";
    "auth.session.list" Session false accounts::list: "Gives all sessions and which is the caller's.";
    "auth.session.kill" Session false accounts::kill: "Ends the sessions in `ids`.";
    "auth.reset-password" Session false accounts::reset_password: "Changes the password and ends all sessions.";
    "auth.set-password" Root false accounts::set_password: "Sets the password, without the old one.";
    "db.dump" Session false db::dump: "Gives the value at `pointer` below /public.";
    "db.subscribe" Session false db::subscribe: "Gives the value at `pointer` and a stream of what changes.";
    "package.list" Session false packages::list: "Gives every package with its state.";
    "package.status" Session false packages::status: "Gives one package with everything shown of it.";
    "package.installed-version" Session false packages::installed_version: "Gives the version of a package, or null.";
    "package.install-file" Root true packages::install_file: "Installs the .s9pk at `path` on this machine.";
    "package.sideload" Session false packages::sideload: "Gives tickets for sending a .s9pk and for watching it.";
    "package.uninstall" Session true packages::uninstall: "Removes a package; `soft` keeps its volumes.";
    "package.start" Session true packages::start: "Wants a service running.";
    "package.stop" Session true packages::stop: "Wants a service stopped.";
    "package.restart" Session true packages::restart: "Wants a running service stopped and started.";
    "package.why" Session false packages::why: "Gives why a service is as it is, and its restart records.";
    "package.action.get-input" Session false packages::get_input: "Gives the form of an action.";
    "package.action.run" Session false packages::run_action: "Runs an action.";
    "package.action.clear-task" Session false packages::clear_task: "Dismisses a task.";
    "package.logs" Session false logs::read: "Gives log lines of a service.";
    "package.logs.follow" Session false logs::follow: "Gives a stream of log lines of a service.";
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
    params: Value,
    cookies: tokio::sync::mpsc::UnboundedSender<String>,
}

impl Call {
    /// The parameters, typed.
    fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.params.clone())
            .map_err(|error| Failure::protocol(PARAMS, format!("parameters: {error}")))
    }

    fn coppice(&self) -> &coppice_actors::Coppice {
        &self.context.gate.coppice
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

/// The whole answer to one body.
pub(crate) struct Answered {
    pub(crate) body: Vec<u8>,
    pub(crate) cookies: Vec<String>,
    pub(crate) sequence: Option<u64>,
}

/// Answers a body: one call, or a batch of them.
pub(crate) async fn answer(context: &Context, body: &[u8]) -> Answered {
    let (cookies, mut set) = tokio::sync::mpsc::unbounded_channel();
    let mut sync = false;
    let answered = match serde_json::from_slice::<Value>(body) {
        Err(error) => Some(failed(
            Value::Null,
            Failure::protocol(PARSE, format!("not JSON: {error}")),
        )),
        Ok(Value::Array(calls)) if calls.is_empty() || calls.len() > MAX_BATCH => {
            let why = format!("a batch holds 1 to {MAX_BATCH} calls");
            Some(failed(Value::Null, Failure::protocol(REQUEST, why)))
        }
        Ok(Value::Array(calls)) => {
            let answers = join_all(
                calls
                    .into_iter()
                    .map(|call| one(context, call, cookies.clone())),
            )
            .await;
            sync = answers.iter().any(|(_, sync)| *sync);
            Some(Value::Array(
                answers.into_iter().map(|(answer, _)| answer).collect(),
            ))
        }
        Ok(call) => {
            let (answer, moved) = one(context, call, cookies.clone()).await;
            sync = moved;
            Some(answer)
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
        body: answered
            .map(|answer| answer.to_string().into_bytes())
            .unwrap_or_default(),
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
                Failure::protocol(REQUEST, "a call is an object"),
            ),
            false,
        );
    };
    let id = call.remove("id").unwrap_or(Value::Null);
    let Some(Value::String(name)) = call.remove("method") else {
        return (
            failed(id, Failure::protocol(REQUEST, "`method` is missing")),
            false,
        );
    };
    let params = call
        .remove("params")
        .unwrap_or_else(|| Value::Object(Map::new()));
    if !params.is_object() {
        return (
            failed(id, Failure::protocol(PARAMS, "`params` is an object")),
            false,
        );
    }
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        let shown: String = name.chars().take(64).collect();
        return (
            failed(
                id,
                Failure::protocol(METHOD, format!("there is no method `{shown}`")),
            ),
            false,
        );
    };
    if let Err(refused) = allowed(method.needs, &context.caller) {
        return (failed(id, refused.into()), false);
    }
    let call = Call {
        context: context.clone(),
        params,
        cookies,
    };
    let span = tracing::info_span!(
        "rpc",
        method = method.name,
        caller = context.caller.account()
    );
    match (method.run)(call).instrument(span).await {
        Ok(result) => (
            json!({ "jsonrpc": "2.0", "result": result, "id": id }),
            method.sync,
        ),
        Err(failure) => (failed(id, failure), method.sync),
    }
}

fn allowed(needs: Needs, caller: &Caller) -> Result<(), Problem> {
    match (needs, caller) {
        (Needs::Nothing, _) | (_, Caller::Root) | (Needs::Session, Caller::Session { .. }) => {
            Ok(())
        }
        (Needs::Session | Needs::Root, Caller::Anonymous) => {
            Err(Problem::new(Kind::Authorization, "sign in first"))
        }
        (Needs::Root, Caller::Session { .. }) => Err(Problem::new(
            Kind::Authorization,
            "this can only be done on the server itself, as root",
        )),
    }
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
            .filter(|method| allowed(method.needs, &Caller::Anonymous).is_ok())
            .map(|method| method.name)
            .collect();
        assert_eq!(open, ["echo", "state", "auth.login"]);
    }

    #[test]
    fn a_session_cannot_do_what_is_for_root() {
        let session = Caller::Session {
            account: "admin".into(),
            id: "x".into(),
        };
        for method in METHODS {
            assert_eq!(
                allowed(method.needs, &session).is_ok(),
                method.needs != Needs::Root,
                "{}",
                method.name
            );
        }
    }
}
