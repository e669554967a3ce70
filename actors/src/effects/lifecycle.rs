//! Effects about running and stopping: §5.2 and §5.4.

use serde::Deserialize;
use tokio::sync::oneshot;

use super::{Answer, DONE, Request, json, limits};
use crate::{
    model::{Asked, By, DesiredStatus},
    service::{Clear, Watched, records, runtime::RuntimeMsg},
};

pub(super) fn clear_callbacks(request: Request<'_>) -> Answer {
    let which: Clear = request.params()?;
    request.service.unwatch(&which);
    DONE
}

#[derive(Deserialize)]
struct Echo {
    message: String,
}

/// For people who want to know whether the host answers.
pub(super) fn echo(request: Request<'_>) -> Answer {
    let Echo { message } = request.params()?;
    json(&message)
}

/// Answers before anything happens: the caller is the very code that will be stopped.
pub(super) async fn restart(request: Request<'_>) -> Answer {
    let service = request.service;
    service
        .update("restart-effect", |entry| {
            let status = &mut entry.status_info;
            let wish = status.desired.restart(status.started.is_some());
            if wish != status.desired {
                status.desired = wish;
                records::note_wish(entry, By::Package, Asked::Restart);
            }
            Ok(())
        })
        .await?;
    service.reports.clear();
    service.raise_wish();
    DONE
}

pub(super) async fn shutdown(request: Request<'_>) -> Answer {
    let service = request.service;
    service
        .update("shutdown-effect", |entry| {
            let wish = entry.status_info.desired.stop();
            if wish != entry.status_info.desired {
                entry.status_info.desired = wish;
                records::note_wish(entry, By::Package, Asked::Stop);
            }
            Ok(())
        })
        .await?;
    service.reports.clear();
    service.raise_wish();
    DONE
}

#[derive(Deserialize)]
struct FallAsleep {
    generation: u64,
}

/// The runtime's own: it has nothing to do, and asks whether it may end. Answers whether.
pub(super) async fn fall_asleep(request: Request<'_>) -> Answer {
    let FallAsleep { generation } = request.params()?;
    let (leave, answer) = oneshot::channel();
    request
        .service
        .runtime_slot
        .cast(RuntimeMsg::Drowsy { generation, leave });
    // An actor that has ended in between gives none.
    json(&answer.await.unwrap_or(false))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetStatus {
    package_id: Option<String>,
    callback: Option<u64>,
}

pub(super) fn get_status(request: Request<'_>) -> Answer {
    let GetStatus {
        package_id,
        callback,
    } = request.params()?;
    let package = package_id.unwrap_or_else(|| request.service.id.clone());
    limits::name("package id", &package)?;
    request.watch(Watched::Status(package.clone()), callback)?;
    json(
        &request
            .service
            .host
            .document
            .package(&package)
            .map(|entry| entry.status_info),
    )
}

#[derive(Deserialize)]
struct SetMainStatus {
    status: MainStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum MainStatus {
    Running,
    Stopped,
}

/// Deprecated in the contract, but packages of SDK 1.x send it.
pub(super) async fn set_main_status(request: Request<'_>) -> Answer {
    let SetMainStatus { status } = request.params()?;
    request
        .service
        .update("set-main-status", move |entry| {
            let info = &mut entry.status_info;
            match status {
                MainStatus::Running => {
                    info.started.get_or_insert_with(coppice_clock::Wall::now);
                    if let DesiredStatus::Restarting {
                        restart_again: false,
                    } = info.desired
                    {
                        info.desired = DesiredStatus::Running;
                    }
                }
                MainStatus::Stopped => info.started = None,
            }
            Ok(())
        })
        .await?;
    DONE
}
