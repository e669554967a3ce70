//! Packages, services, actions and tasks.

use std::path::PathBuf;

use coppice_actors::{
    jobs::{Manner, Source},
    model::ChosenLimits,
};
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{Call, Failure};
use crate::{
    continuations::{Continuation, PATIENCE, UPLOAD_PATIENCE},
    gateway::{
        streams,
        upload::{Upload, upload},
    },
};

pub(super) async fn list(call: Call) -> Result<Value, Failure> {
    Ok(json!(call.coppice().list()))
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

pub(super) async fn status(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    let (summary, mut entry) = call.coppice().status(&id)?;
    // The icon is of no use to whoever reads a status, and long.
    entry.icon.clear();
    Ok(json!({ "summary": summary, "entry": entry }))
}

pub(super) async fn installed_version(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    let found = call.coppice().list().into_iter().find(|one| one.id == id);
    Ok(json!(found.map(|one| one.version)))
}

#[derive(Deserialize)]
struct InstallFile {
    path: PathBuf,
}

pub(super) async fn install_file(call: Call) -> Result<Value, Failure> {
    let InstallFile { path } = call.params()?;
    Ok(json!(call.coppice().install(Source::File(path)).await?))
}

pub(super) async fn cancel_install(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    call.coppice().cancel_update(&id, call.by())?;
    Ok(Value::Null)
}

pub(super) async fn rebuild(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    call.coppice().rebuild(&id).await?;
    Ok(Value::Null)
}

pub(super) async fn sideload(call: Call) -> Result<Value, Failure> {
    let (progress, watched) = watch::channel(Upload::Waiting);
    let tickets = &call.context.gate.tickets;
    let watching = Continuation::Socket(Box::new(move |socket| {
        streams::upload_progress(socket, watched).boxed()
    }));
    let progress_guid = tickets.give(&call.context.caller, watching, UPLOAD_PATIENCE)?;
    let receiving = Continuation::Request(Box::new(upload(call.context.clone(), progress)));
    let upload_guid = tickets.give(&call.context.caller, receiving, PATIENCE)?;
    Ok(json!({ "upload": upload_guid, "progress": progress_guid }))
}

#[derive(Deserialize)]
struct Uninstall {
    id: String,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    force: bool,
}

pub(super) async fn uninstall(call: Call) -> Result<Value, Failure> {
    let Uninstall { id, soft, force } = call.params()?;
    call.coppice()
        .uninstall(&id, Manner { soft, force })
        .await?;
    Ok(Value::Null)
}

#[derive(Deserialize)]
struct Start {
    id: String,
    #[serde(default)]
    force: bool,
}

pub(super) async fn start(call: Call) -> Result<Value, Failure> {
    let Start { id, force } = call.params()?;
    call.coppice().start(&id, force, call.by()).await?;
    Ok(Value::Null)
}

pub(super) async fn stop(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    call.coppice().stop(&id, call.by()).await?;
    Ok(Value::Null)
}

pub(super) async fn restart(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    call.coppice().restart(&id, call.by()).await?;
    Ok(Value::Null)
}

pub(super) async fn why(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    Ok(json!(call.coppice().why(&id)?))
}

pub(super) async fn daemons(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    Ok(json!(call.coppice().daemons(&id).await?))
}

pub(super) async fn limits(call: Call) -> Result<Value, Failure> {
    let Id { id } = call.params()?;
    limits_of(&call, &id)
}

fn limits_of(call: &Call, id: &str) -> Result<Value, Failure> {
    let (chosen, effective) = call.coppice().limits(id)?;
    let effective = ChosenLimits {
        memory_bytes: effective.memory_bytes,
        pids: effective.pids,
        cpu_weight: effective.cpu_weight,
    };
    Ok(json!({ "chosen": chosen, "effective": effective }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetLimits {
    id: String,
    /// Forget what was chosen before; otherwise what is not given stays as it is.
    #[serde(default)]
    reset: bool,
    #[serde(flatten)]
    chosen: ChosenLimits,
}

pub(super) async fn set_limits(call: Call) -> Result<Value, Failure> {
    let SetLimits { id, reset, chosen } = call.params()?;
    let (before, _) = call.coppice().limits(&id)?;
    let before = if reset {
        ChosenLimits::default()
    } else {
        before
    };
    let chosen = ChosenLimits {
        memory_bytes: chosen.memory_bytes.or(before.memory_bytes),
        pids: chosen.pids.or(before.pids),
        cpu_weight: chosen.cpu_weight.or(before.cpu_weight),
    };
    call.coppice().set_limits(&id, chosen).await?;
    limits_of(&call, &id)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetInput {
    package_id: String,
    action_id: String,
    #[serde(default)]
    prefill: Option<Map<String, Value>>,
}

pub(super) async fn get_input(call: Call) -> Result<Value, Failure> {
    let GetInput {
        package_id,
        action_id,
        prefill,
    } = call.params()?;
    Ok(call
        .coppice()
        .get_input(&package_id, &action_id, prefill)
        .await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    package_id: String,
    action_id: String,
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    input: Value,
}

pub(super) async fn run_action(call: Call) -> Result<Value, Failure> {
    let Run {
        package_id,
        action_id,
        event_id,
        input,
    } = call.params()?;
    let account = call.context.caller.account();
    Ok(call
        .coppice()
        .run_action(&package_id, &action_id, event_id, input, account)
        .await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClearTask {
    package_id: String,
    replay_id: String,
    #[serde(default)]
    force: bool,
}

pub(super) async fn clear_task(call: Call) -> Result<Value, Failure> {
    let ClearTask {
        package_id,
        replay_id,
        force,
    } = call.params()?;
    call.coppice()
        .clear_task(&package_id, &replay_id, force)
        .await?;
    Ok(Value::Null)
}
