//! The effect `set-daemons`, which is Coppice's own: `docs/decisions/0024-daemons-declared-as-data.md`.

use serde::Deserialize;

use super::{Answer, DONE, Refusal, Request};
use crate::{
    problem::Problem,
    service::{
        RuntimePhase,
        daemons::hosted::{self, DaemonSpec},
    },
};

#[derive(Deserialize)]
struct SetDaemons {
    daemons: Vec<DaemonSpec>,
}

/// Declares all daemons of the service; answers when that is durable, and does not wait for them.
pub(super) async fn set(request: Request<'_>) -> Answer {
    let SetDaemons { daemons } = request.params()?;
    let service = request.service;
    let entry = service.entry()?;
    let in_main = matches!(
        *service.phase.borrow(),
        RuntimePhase::Changing | RuntimePhase::Running | RuntimePhase::Waking
    );
    if !in_main || !entry.status_info.desired.wants_running() {
        return Err(Problem::invalid(
            "daemons are declared in `main`, while the service starts or runs",
        )
        .into());
    }
    let manifest = entry.state_info.manifest();
    let images = manifest["images"].as_object().into_iter().flatten();
    let images = images.map(|(id, _)| id.clone()).collect();
    let volumes = manifest["volumes"].as_array().into_iter().flatten();
    let volumes = volumes
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    hosted::check(&daemons, &images, &volumes)
        .map_err(|refused| Refusal::Problem(refused.into()))?;
    hosted::declare(service, daemons).await?;
    DONE
}
