//! What package code may ask of the host: `service-abi.md` §5.
//!
//! Invariants:
//! - Who asks is told by the connection ([`ServiceContext`]), never by a parameter.
//! - Unknown fields in parameters are ignored, as packages of every SDK version rely on it.
//! - A read effect registers its callback before it reads, so no change is lost between the two.
//! - What an effect stores or shows has passed [`limits`]; what it sets in motion waits for [`turns`].
//! - Every effect may be repeated; a repeated one changes nothing, but for `subcontainer.create-fs`
//!   (another root, gone with the container) and `action.run` (the action runs again).
//!
//! One file per subject. An effect that is not here yet answers with an error that names it.

mod actions;
mod certificates;
mod daemons;
mod data;
mod dependencies;
mod health;
mod interfaces;
mod lifecycle;
pub(crate) mod limits;
mod network;
mod notifications;
mod packages;
mod plugins;
mod ports;
mod ranges;
mod subcontainers;
mod turns;

pub use data::read_version;
pub use dependencies::satisfies;

use std::{cell::Cell, sync::Arc};

use coppice_clock::Mono;
use coppice_wire::RpcError;
use futures_util::{FutureExt, future::BoxFuture};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::turns::Turns;
use crate::{
    link::Handler,
    problem::{Kind, Problem},
    service::{ServiceContext, Watched},
};

/// What `start-container` may ask for and a later version of Coppice does.
const LATER: [&str; 1] = ["rebuild"];

/// Answers the connections of a service's container, all of them: they share its turns.
#[derive(Debug)]
pub struct Effects {
    service: Arc<ServiceContext>,
    turns: Turns,
}

impl Effects {
    /// The effects of `service`.
    #[must_use]
    pub fn new(service: Arc<ServiceContext>) -> Self {
        Self {
            service,
            turns: Turns::new(Mono::now()),
        }
    }
}

impl Handler for Effects {
    fn request(
        self: Arc<Self>,
        method: String,
        params: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        async move {
            tracing::debug!(service = self.service.id, method, "effect");
            let _turn = self.turns.take(turns::Kind::of(&method)).await;
            let result = answer(&self.service, &method, params).await;
            match &result {
                Ok(_) => tracing::debug!(service = self.service.id, method, "effect answered"),
                Err(error) => {
                    tracing::debug!(service = self.service.id, method, %error, "effect refused");
                }
            }
            result
        }
        .boxed()
    }

    fn notification(&self, method: String, _: Value) {
        tracing::debug!(
            service = self.service.id,
            method,
            "a notification nobody expects"
        );
    }
}

/// Answers one effect.
#[tracing::instrument(name = "effect", skip_all, fields(service = service.id, method))]
async fn answer(
    service: &Arc<ServiceContext>,
    method: &str,
    params: Value,
) -> Result<Value, RpcError> {
    if !service.has_tree() {
        return Err(service.gone().into());
    }
    // A runtime asks with no parameters at all where the contract says `{}`.
    let params = if params.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        params
    };
    let request = Request {
        service,
        method,
        params: Cell::new(params),
    };
    let answered = match method {
        "clear-callbacks" => lifecycle::clear_callbacks(request),
        "echo" => lifecycle::echo(request),
        "git-info" => Ok(Value::String(env!("CARGO_PKG_VERSION").to_owned())),
        "restart" => lifecycle::restart(request).await,
        "shutdown" => lifecycle::shutdown(request).await,
        "fall-asleep" => lifecycle::fall_asleep(request).await,
        "get-status" => lifecycle::get_status(request),
        "set-main-status" => lifecycle::set_main_status(request).await,
        "action.export" => actions::export(request).await,
        "action.clear" => actions::clear(request).await,
        "action.get-input" => actions::get_input(request).await,
        "action.run" => actions::run(request).await,
        "action.create-task" => actions::create_task(request).await,
        "action.clear-tasks" => actions::clear_tasks(request).await,
        "set-daemons" => daemons::set(request).await,
        "set-dependencies" => dependencies::set(request).await,
        "get-dependencies" => dependencies::get(request),
        "check-dependencies" => dependencies::check(request),
        "mount" => subcontainers::mount(request).await,
        "bind-mount" => subcontainers::bind_mount(request).await,
        "subcontainer.create-fs" => subcontainers::create_fs(request).await,
        "subcontainer.destroy-fs" => subcontainers::destroy_fs(request).await,
        "get-installed-packages" => packages::installed(request),
        "get-service-manifest" => packages::manifest(request),
        "set-init-progress" | "set-backup-progress" => health::progress(request),
        "set-health" => health::set(request),
        "notification.create" => notifications::create(request).await,
        "bind" => network::bind(request).await,
        "bind-range" => ranges::bind(request).await,
        "clear-bindings" => network::clear_bindings(request).await,
        "get-service-port-forward" => network::port_forward(request),
        "get-host-info" => network::host_info(request),
        "get-container-ip" => network::container_ip(request),
        "get-os-ip" => network::os_ip(request),
        "get-outbound-gateway" => network::outbound_gateway(request),
        "export-service-interface" => interfaces::export(request).await,
        "export-range-service-interface" => ranges::export_interface(request).await,
        "clear-service-interfaces" => interfaces::clear(request).await,
        "get-service-interface" => interfaces::get(request),
        "list-service-interfaces" => interfaces::list(request),
        "plugin.url.register" => plugins::register(request).await,
        "plugin.url.export-url" => plugins::export_url(request).await,
        "plugin.url.clear-urls" => plugins::clear_urls(request).await,
        "get-ssl-certificate" => certificates::certificate(request),
        "get-ssl-key" => certificates::key(request),
        "set-data-version" => data::set_version(request),
        "get-data-version" => data::get_version(request),
        "get-system-smtp" => data::smtp(request),
        later if LATER.contains(&later) => Err(Problem::invalid(format!(
            "`{later}` is not supported yet by this version of Coppice; \
             a package that needs it has to wait for a later one"
        ))
        .into()),
        unknown => Err(Refusal::Rpc(RpcError::method_not_found(unknown))),
    };
    answered.map_err(|refusal| match refusal {
        Refusal::Problem(problem) => problem.into(),
        Refusal::Rpc(error) => error,
    })
}

/// One effect under way.
struct Request<'a> {
    service: &'a Arc<ServiceContext>,
    method: &'a str,
    params: Cell<Value>,
}

impl Request<'_> {
    /// The parameters, typed; taken, so that they are held once and not twice.
    fn params<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_value(self.params.take())
            .map_err(|error| Refusal::Rpc(RpcError::invalid_params(self.method, &error)))
    }

    /// Registers the callback of a read effect, before it reads.
    fn watch(&self, watched: Watched, callback: Option<u64>) -> Result<(), Refusal> {
        let Some(callback) = callback else {
            return Ok(());
        };
        let registered = self.service.watch(watched, callback);
        registered.map_err(|full| Problem::of(Kind::InvalidRequest, &full).into())
    }
}

/// Why an effect is not answered.
enum Refusal {
    Problem(Problem),
    Rpc(RpcError),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

type Answer = Result<Value, Refusal>;

/// The answer of an effect that returns nothing.
const DONE: Answer = Ok(Value::Null);

/// A value as its JSON.
fn json<T: serde::Serialize>(value: &T) -> Answer {
    serde_json::to_value(value)
        .map_err(|error| Refusal::Problem(Problem::of(Kind::Serialization, &error)))
}
