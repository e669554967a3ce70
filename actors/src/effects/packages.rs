//! Effects about what is installed: §5.5.

use serde::Deserialize;

use super::{Answer, Request, json, limits};
use crate::service::Watched;

pub(super) fn installed(request: Request<'_>) -> Answer {
    json(&request.service.host.document.package_ids())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetManifest {
    package_id: String,
    callback: Option<u64>,
}

/// Null for a package that is not there, where the reference fails: the SDK's type allows it.
pub(super) fn manifest(request: Request<'_>) -> Answer {
    let GetManifest {
        package_id,
        callback,
    } = request.params()?;
    limits::name("package id", &package_id)?;
    request.watch(Watched::Manifest(package_id.clone()), callback)?;
    let entry = request.service.host.document.package(&package_id);
    json(&entry.map(|entry| entry.state_info.manifest().clone()))
}
