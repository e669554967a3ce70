//! Packages, services, actions and tasks.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use coppice_actors::{
    Problem,
    coppice::{ServiceSummary, Why},
    jobs::{Manner, Source},
    model::{ChosenLimits, DaemonReport, PackageEntry},
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{ById, Count, Guid, Json, Nothing},
};
use crate::{
    continuations::{Continuation, PATIENCE, UPLOAD_PATIENCE},
    gateway::{
        streams,
        upload::{Upload, upload},
    },
};

/// A package in the list that StartOS's clients read.
#[derive(Serialize, TS)]
pub(super) struct ListedPackage {
    /// Where it stands in its life.
    #[ts(
        type = "\"installed\" | \"installing\" | \"updating\" | \"restoring\" | \"removing\" | \"error\""
    )]
    status: String,
    /// Its id.
    id: String,
    /// The version that counts now.
    version: String,
}

pub(super) async fn list(call: Call, _: Nothing) -> Result<Vec<ListedPackage>, Failure> {
    let packages = call.coppice().host().document.package_heads().into_iter();
    let listed = packages.map(|(id, head)| ListedPackage {
        status: head.state,
        id,
        version: head.version,
    });
    Ok(listed.collect())
}

pub(super) async fn overview(call: Call, _: Nothing) -> Result<Vec<ServiceSummary>, Failure> {
    Ok(call.coppice().list())
}

/// One package.
#[derive(Serialize, TS)]
pub(super) struct PackageStatus {
    /// How it is.
    summary: ServiceSummary,
    /// What the document shows of it, but for its icon.
    entry: PackageEntry,
}

pub(super) async fn status(call: Call, params: ById) -> Result<PackageStatus, Failure> {
    let (summary, mut entry) = call.coppice().status(&params.id)?;
    // The icon is of no use to whoever reads a status, and long.
    entry.icon.clear();
    Ok(PackageStatus { summary, entry })
}

pub(super) async fn installed_version(call: Call, params: ById) -> Result<Option<String>, Failure> {
    let mut all = call.coppice().list().into_iter();
    let found = all.find(|one| one.id == params.id);
    Ok(found.map(|one| one.version))
}

#[derive(Deserialize, TS)]
pub(super) struct InstallFile {
    /// The file, with its whole path.
    #[ts(type = "string")]
    path: PathBuf,
}

#[derive(Serialize, TS)]
pub(super) struct Installed {
    /// The id of the package.
    id: String,
    /// Its version.
    version: String,
    /// The version that was there before, if one was.
    from: Option<String>,
}

pub(super) async fn install_file(call: Call, params: InstallFile) -> Result<Installed, Failure> {
    let done = call.coppice().install(Source::File(params.path)).await?;
    Ok(Installed {
        id: done.id,
        version: done.version,
        from: done.from,
    })
}

pub(super) async fn cancel_install(call: Call, params: ById) -> Result<(), Failure> {
    Ok(call.coppice().cancel_update(&params.id, call.by())?)
}

pub(super) async fn rebuild(call: Call, params: ById) -> Result<(), Failure> {
    Ok(call.coppice().rebuild(&params.id).await?)
}

/// What an upload needs.
#[derive(Serialize, TS)]
pub(super) struct SideloadTickets {
    /// Where the package is sent: POST to `/rest/rpc/<guid>`.
    upload: Guid,
    /// Where it is told how it goes. This one waits for ten minutes.
    progress: Guid,
}

pub(super) async fn sideload(call: Call, _: Nothing) -> Result<SideloadTickets, Failure> {
    let (progress, watched) = watch::channel(Upload::Waiting);
    let tickets = &call.context.gate.tickets;
    let watching = Continuation::Socket(Box::new(move |socket| {
        streams::upload_progress(socket, watched).boxed()
    }));
    let progress_guid = tickets.give(&call.context.caller, watching, UPLOAD_PATIENCE)?;
    let receiving = Continuation::Request(Box::new(upload(Arc::clone(&call.context), progress)));
    let upload_guid = tickets.give(&call.context.caller, receiving, PATIENCE)?;
    Ok(SideloadTickets {
        upload: Guid(upload_guid),
        progress: Guid(progress_guid),
    })
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct UninstallPackage {
    /// Which.
    id: String,
    /// Keep its volumes.
    soft: Option<bool>,
    /// Also if its own code objects.
    force: Option<bool>,
}

pub(super) async fn uninstall(call: Call, params: UninstallPackage) -> Result<(), Failure> {
    let manner = Manner {
        soft: params.soft.unwrap_or_default(),
        force: params.force.unwrap_or_default(),
    };
    Ok(call.coppice().uninstall(&params.id, manner).await?)
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct StartPackage {
    /// Which.
    id: String,
    /// Also while it has a task that comes first.
    force: Option<bool>,
}

pub(super) async fn start(call: Call, params: StartPackage) -> Result<(), Failure> {
    let force = params.force.unwrap_or_default();
    Ok(call.coppice().start(&params.id, force, call.by()).await?)
}

pub(super) async fn stop(call: Call, params: ById) -> Result<(), Failure> {
    Ok(call.coppice().stop(&params.id, call.by()).await?)
}

pub(super) async fn restart(call: Call, params: ById) -> Result<(), Failure> {
    Ok(call.coppice().restart(&params.id, call.by()).await?)
}

pub(super) async fn why(call: Call, params: ById) -> Result<Why, Failure> {
    Ok(call.coppice().why(&params.id)?)
}

pub(super) async fn daemons(
    call: Call,
    params: ById,
) -> Result<BTreeMap<String, DaemonReport>, Failure> {
    Ok(call.coppice().daemons(&params.id).await?)
}

/// What a service may use.
#[derive(Serialize, TS)]
pub(super) struct PackageLimits {
    /// What its owner chose.
    chosen: ChosenLimits,
    /// What that comes to with Coppice's own limits.
    effective: ChosenLimits,
}

pub(super) async fn limits(call: Call, params: ById) -> Result<PackageLimits, Failure> {
    limits_of(&call, &params.id)
}

fn limits_of(call: &Call, id: &str) -> Result<PackageLimits, Failure> {
    let (chosen, effective) = call.coppice().limits(id)?;
    let effective = ChosenLimits {
        memory_bytes: effective.memory_bytes,
        pids: effective.pids,
        cpu_weight: effective.cpu_weight,
    };
    Ok(PackageLimits { chosen, effective })
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct SetLimits {
    /// Of which package.
    id: String,
    /// Forget what was chosen before; otherwise what is not given stays as it is.
    reset: Option<bool>,
    /// Memory in bytes, page cache included.
    #[ts(as = "Option<Count>")]
    memory_bytes: Option<u64>,
    /// Processes and threads.
    #[ts(as = "Option<Count>")]
    pids: Option<u64>,
    /// Share of the processor when it is scarce; 100 is usual.
    #[ts(as = "Option<Count>")]
    cpu_weight: Option<u64>,
}

/// A number that fits where it is kept.
fn fitting<T: TryFrom<u64>>(name: &str, given: Option<u64>) -> Result<Option<T>, Problem> {
    let fits = given.map(T::try_from).transpose();
    fits.map_err(|_| Problem::invalid(format!("`{name}` is far too large; choose a smaller one")))
}

pub(super) async fn set_limits(call: Call, params: SetLimits) -> Result<PackageLimits, Failure> {
    let (before, _) = call.coppice().limits(&params.id)?;
    let before = match params.reset {
        Some(true) => ChosenLimits::default(),
        Some(false) | None => before,
    };
    let chosen = ChosenLimits {
        memory_bytes: params.memory_bytes.or(before.memory_bytes),
        pids: fitting("pids", params.pids)?.or(before.pids),
        cpu_weight: fitting("cpuWeight", params.cpu_weight)?.or(before.cpu_weight),
    };
    call.coppice().set_limits(&params.id, chosen).await?;
    limits_of(&call, &params.id)
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct GetActionInput {
    /// Of which package.
    package_id: String,
    /// Of which action.
    action_id: String,
    /// What the form is filled with.
    #[ts(optional = nullable, type = "Record<string, unknown> | null")]
    prefill: Option<Map<String, Value>>,
}

pub(super) async fn get_input(call: Call, params: GetActionInput) -> Result<Json, Failure> {
    let GetActionInput {
        package_id,
        action_id,
        prefill,
    } = params;
    let input = call.coppice().get_input(&package_id, &action_id, prefill);
    Ok(Json(input.await?))
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct RunAction {
    /// Of which package.
    package_id: String,
    /// Which action.
    action_id: String,
    /// The one that its form came with.
    event_id: Option<String>,
    /// What its form was filled with.
    #[ts(optional = nullable, type = "unknown")]
    input: Option<Value>,
}

pub(super) async fn run_action(call: Call, params: RunAction) -> Result<Json, Failure> {
    let RunAction {
        package_id,
        action_id,
        event_id,
        input,
    } = params;
    let account = call.context.caller.account();
    let coppice = call.coppice();
    let input = input.unwrap_or_default();
    let ran = coppice.run_action(&package_id, &action_id, event_id, input, account);
    Ok(Json(ran.await?))
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct ClearTask {
    /// Of which package.
    package_id: String,
    /// Which task.
    replay_id: String,
    /// Also if it is required.
    force: Option<bool>,
}

pub(super) async fn clear_task(call: Call, params: ClearTask) -> Result<(), Failure> {
    let force = params.force.unwrap_or_default();
    let coppice = call.coppice();
    Ok(coppice
        .clear_task(&params.package_id, &params.replay_id, force)
        .await?)
}
