//! Effects about dependencies: §5.5.

use std::collections::BTreeMap;

use coppice_exver::{ExtendedVersion, VersionRange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, DONE, Request, json as as_json, limits};
use crate::{
    model::{CurrentDependency, DependencyKind},
    problem::{Kind, Problem},
};

/// A requirement as it travels.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Requirement {
    id: String,
    version_range: String,
    #[serde(flatten)]
    kind: DependencyKind,
}

#[derive(Deserialize)]
struct Set {
    dependencies: Vec<Requirement>,
}

pub(super) async fn set(request: Request<'_>) -> Answer {
    let Set { dependencies } = request.params()?;
    admit(&dependencies)?;
    let mut current = BTreeMap::new();
    for requirement in dependencies {
        VersionRange::parse_prefix(&requirement.version_range).map_err(|error| {
            let range = &requirement.version_range;
            Problem::new(
                Kind::ParseVersion,
                format!(
                    "`{range}` of dependency `{}` is not a version range: {error}",
                    requirement.id
                ),
            )
        })?;
        let described = request
            .service
            .host
            .packages
            .dependency(&request.service.id, &requirement.id)
            .await;
        current.insert(
            requirement.id,
            CurrentDependency {
                title: described.title,
                icon: described.icon,
                version_range: requirement.version_range,
                kind: requirement.kind,
            },
        );
    }
    request
        .service
        .update("set-dependencies", move |entry| {
            entry.current_dependencies = current;
            Ok(())
        })
        .await?;
    DONE
}

/// Whether these may be what a service depends on.
pub(super) fn admit(dependencies: &[Requirement]) -> Result<(), limits::OverLimit> {
    for (at, one) in dependencies.iter().enumerate() {
        limits::name("package id", &one.id)?;
        limits::version(&one.version_range)?;
        // The last of them sees all others: measured once, and not for each.
        let others = &dependencies[..if at + 1 == dependencies.len() { at } else { 0 }];
        limits::DEPENDENCIES.check(&one.id, one, others)?;
    }
    Ok(())
}

pub(super) fn get(request: Request<'_>) -> Answer {
    let current = request.service.entry()?.current_dependencies;
    let list: Vec<Requirement> = current
        .into_iter()
        .map(|(id, dependency)| Requirement {
            id,
            version_range: dependency.version_range,
            kind: dependency.kind,
        })
        .collect();
    as_json(&list)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    #[serde(default)]
    package_ids: Option<Vec<String>>,
}

pub(super) fn check(request: Request<'_>) -> Answer {
    let Check { package_ids } = request.params()?;
    limits::list("packages", package_ids.as_deref().unwrap_or_default())?;
    let own = request.service.entry()?;
    let wanted = |id: &String| package_ids.as_ref().is_none_or(|ids| ids.contains(id));
    let checked = own.current_dependencies.iter().filter(|(id, _)| wanted(id)).map(|(id, dependency)| {
        let installed = request.service.host.document.package(id);
        let manifest = installed.as_ref().map(|entry| entry.state_info.manifest());
        let tasks: BTreeMap<_, _> = own.tasks.iter().filter(|(_, entry)| entry.task.package_id == *id).collect();
        json!({
            "packageId": id,
            "title": manifest.and_then(|manifest| manifest.get("title")).and_then(Value::as_str)
                .map_or_else(|| dependency.title.clone(), |title| Some(title.to_owned())),
            "installedVersion": manifest.and_then(|manifest| manifest.get("version")),
            "satisfies": manifest.and_then(|manifest| manifest.get("satisfies")).cloned().unwrap_or_else(|| json!([])),
            "isRunning": installed.as_ref().is_some_and(|entry| entry.status_info.started.is_some()),
            "tasks": tasks,
            "healthChecks": installed.as_ref().map(|entry| json!(entry.status_info.health)).unwrap_or_else(|| json!({})),
        })
    });
    Ok(Value::Array(checked.collect()))
}

/// Whether `version`, or one it says it satisfies, lies in `range`.
#[must_use]
pub fn satisfies(version: &str, also: &[String], range: &str) -> bool {
    let Ok((range, _)) = VersionRange::parse_prefix(range) else {
        return false;
    };
    std::iter::once(version)
        .chain(also.iter().map(String::as_str))
        .filter_map(|version| version.parse::<ExtendedVersion>().ok())
        .any(|version| version.satisfies(&range))
}
