//! Effects about health and progress: §5.6 and §5.7.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, DONE, Request, limits};
use crate::{
    model::{HealthReport, HealthResult},
    service::health::Report,
    text::cut,
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
    let report = report(request.params()?)?;
    request.service.reports.report(report);
    DONE
}

/// The texts of a report are for people and are cut; its id is not, since that would be another.
fn report(mut said: SetHealth) -> Result<Report, limits::OverLimit> {
    limits::name("health check id", &said.id)?;
    cut(&mut said.name, limits::HEALTH_NAME_BYTES);
    if let Some(message) = &mut said.message {
        cut(message, limits::HEALTH_MESSAGE_BYTES);
    }
    Ok(Report {
        id: said.id,
        report: HealthReport {
            name: said.name,
            result: said.result,
            message: said.message,
        },
    })
}

#[derive(Deserialize)]
struct SetProgress {
    progress: Value,
}

/// Shown while an install waits for the package's `init`; dropped at any other time.
pub(super) fn progress(request: Request<'_>) -> Answer {
    let SetProgress { progress } = request.params()?;
    limits::progress(&progress)?;
    if request.method == "set-init-progress" {
        request.service.init_progress.send_replace(progress);
    }
    DONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: String, message: String) -> SetHealth {
        SetHealth {
            id,
            name: "n".repeat(1_000_000),
            result: HealthResult::Failure,
            message: Some(message),
        }
    }

    #[test]
    fn what_a_check_says_is_cut_before_it_is_shown() {
        let Report { id, report } = report(said("web".into(), "m".repeat(1_000_000))).unwrap();
        assert_eq!(id, "web");
        assert!(report.name.len() <= 128 && report.name.starts_with("nnn"));
        assert!(report.message.unwrap().len() <= 1024);
        let short = said("web".into(), "the database is locked".into());
        let message = super::report(short).unwrap().report.message;
        assert_eq!(message.as_deref(), Some("the database is locked"));
    }

    #[test]
    fn a_check_with_an_endless_id_is_refused() {
        assert!(report(said("w".repeat(257), String::new())).is_err());
    }
}
