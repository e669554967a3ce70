//! Effects about health and progress: §5.6 and §5.7.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, DONE, Request};
use crate::{
    model::{HealthReport, HealthResult},
    service::health::Report,
};

#[derive(Deserialize)]
struct SetHealth {
    id: String,
    name: String,
    result: HealthResult,
    #[serde(default)]
    message: Option<String>,
}

/// Hands the report to the service's health actor, which knows whether it is news.
pub(super) fn set(request: Request<'_>) -> Answer {
    let SetHealth {
        id,
        name,
        result,
        message,
    } = request.params()?;
    request.service.reports.report(Report {
        id,
        report: HealthReport {
            name,
            result,
            message,
        },
    });
    DONE
}

#[derive(Deserialize)]
struct SetProgress {
    progress: Value,
}

/// Shown while an install waits for the package's `init`; dropped at any other time.
pub(super) fn progress(request: Request<'_>) -> Answer {
    let SetProgress { progress } = request.params()?;
    if request.method == "set-init-progress" {
        request.service.init_progress.send_replace(progress);
    }
    DONE
}
