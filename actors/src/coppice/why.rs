//! Why a service is as it is.

use serde::Serialize;
use ts_rs::TS;

use super::{Coppice, ServiceSummary};
use crate::{
    model::{Held, Link, Parked, RestartRecord},
    problem::Problem,
    service::explain,
    words,
};

/// Why a service is as it is.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// How it is.
    pub summary: ServiceSummary,
    /// Why it does not run well, in plain words; `None` when it does.
    pub words: Option<String>,
    /// The same, step by step, nearest first.
    pub because: Vec<Link>,
    /// Set while it failed too often and waits.
    pub parked: Option<Parked>,
    /// Set while it failed and what it needs is missing.
    pub held: Option<Held>,
    /// Its restart records, oldest first.
    pub restarts: Vec<RestartRecord>,
}

impl Coppice {
    /// Why a service is as it is.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn why(&self, id: &str) -> Result<Why, Problem> {
        let (summary, entry) = self.status(id)?;
        let document = &self.host().document;
        let because = explain::standing(id, &|id| document.package(id));
        let words = words::explain(&because);
        Ok(Why {
            summary,
            words: (!words.is_empty()).then_some(words),
            because,
            parked: entry.parked,
            held: entry.held,
            restarts: entry.restarts.into_values().collect(),
        })
    }
}
