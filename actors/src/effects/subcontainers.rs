//! Effects about subcontainers and mounts: §5.5 `mount`, §5.9 and §6.6.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use coppice_containers::{FileKind, IdMapping, Segment, VolumeMount};
use coppice_wire::mount::BindMount;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, DONE, Refusal, Request, limits};
use crate::{
    problem::{Kind, Problem},
    service::{ServiceContext, Subcontainer},
};

const ROOTS: &str = "/media/startos/subcontainers";
const VOLUMES: &str = "/media/startos/volumes";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateFs {
    image_id: String,
    #[serde(default)]
    name: Option<String>,
}

pub(super) async fn create_fs(request: Request<'_>) -> Answer {
    let CreateFs { image_id, name } = request.params()?;
    let service = request.service;
    let image = segment(&image_id)?;
    limits::name("image id", &image_id)?;
    limits::maybe_name("subcontainer name", name.as_deref())?;
    let guid = crate::ids::guid();
    let made = Subcontainer {
        name: name.unwrap_or_else(|| format!("subcontainer-{image_id}")),
        image: image_id,
    };
    reserve(&mut service.subcontainers(), guid.clone(), made)?;
    let created = service
        .host
        .backend
        .create_subcontainer_fs(&service.instance, &image, &segment(&guid)?)
        .await;
    if let Err(error) = created {
        service.subcontainers().remove(&guid);
        return Err(match error {
            coppice_containers::OpError::UnknownImage { .. } => Problem::of(Kind::NotFound, &error),
            _ => Problem::of(Kind::Lxc, &error),
        }
        .into());
    }
    Ok(json!([format!("{ROOTS}/{guid}"), guid]))
}

/// Notes a subcontainer before it is made, so that a crowd of them does not pass the limit together.
pub(super) fn reserve(
    alive: &mut BTreeMap<String, Subcontainer>,
    guid: String,
    made: Subcontainer,
) -> Result<(), limits::OverLimit> {
    limits::subcontainer(&made.name, alive.len())?;
    alive.insert(guid, made);
    Ok(())
}

#[derive(Deserialize)]
struct DestroyFs {
    guid: String,
}

/// An unknown guid is fine: the SDK asks twice in normal operation.
pub(super) async fn destroy_fs(request: Request<'_>) -> Answer {
    let DestroyFs { guid } = request.params()?;
    let service = request.service;
    let destroyed = service
        .host
        .backend
        .destroy_subcontainer_fs(&service.instance, &segment(&guid)?)
        .await;
    service.subcontainers().remove(&guid);
    destroyed.map_err(|error| Problem::of(Kind::Lxc, &error))?;
    DONE
}

#[derive(Deserialize)]
struct Mount {
    location: PathBuf,
    target: MountTarget,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MountTarget {
    package_id: String,
    volume_id: String,
    #[serde(default)]
    subpath: Option<String>,
    readonly: bool,
    #[serde(default)]
    idmap: Vec<IdMapping>,
    #[serde(default)]
    filetype: Option<String>,
}

pub(super) async fn mount(request: Request<'_>) -> Answer {
    let Mount { location, target } = request.params()?;
    limits::name("package id", &target.package_id)?;
    limits::id_mappings(&target.idmap)?;
    let service = request.service;
    may_mount(service, &target.package_id)?;
    segment(&target.package_id)?;
    let source = service
        .host
        .layout
        .data
        .join("services")
        .join(&target.package_id)
        .join("volumes")
        .join(segment(&target.volume_id)?.as_str());
    if !source.is_dir() {
        return Err(Problem::not_found(format!(
            "`{}` has no volume `{}`",
            target.package_id, target.volume_id
        ))
        .into());
    }
    let mount = VolumeMount {
        source,
        subpath: PathBuf::from(target.subpath.unwrap_or_default().trim_start_matches('/')),
        target: location,
        readonly: target.readonly,
        idmap: target.idmap,
        kind: match target.filetype.as_deref() {
            Some("file") => FileKind::File,
            Some("directory") => FileKind::Directory,
            _ => FileKind::Infer,
        },
    };
    service
        .host
        .backend
        .mount_into(&service.instance, &mount)
        .await
        .map_err(|error| Problem::of(Kind::Filesystem, &error))?;
    DONE
}

/// A package mounts its own volumes and those of what it declared to depend on.
fn may_mount(service: &ServiceContext, package: &str) -> Result<(), Problem> {
    let own = service.entry()?;
    let declared = own.state_info.manifest().get("dependencies");
    let known = package == service.id
        || own.current_dependencies.contains_key(package)
        || declared.and_then(|all| all.get(package)).is_some();
    if known {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "`{}` may not mount volumes of `{package}`: it is not one of its dependencies; \
         declare it in the manifest",
        service.id
    )))
}

/// `start-container bind-mount --idmap`: the source is one of the service's own volumes.
pub(super) async fn bind_mount(request: Request<'_>) -> Answer {
    let asked: BindMount = request.params()?;
    limits::id_mappings(&asked.idmap)?;
    let service = request.service;
    let (volume, subpath) = volume_path(Path::new(&asked.source)).ok_or_else(|| {
        Problem::invalid(format!(
            "`{}` cannot be mounted with mapped ids: only paths below {VOLUMES} can",
            asked.source
        ))
    })?;
    let mount = VolumeMount {
        source: service.volumes().join(segment(&volume)?.as_str()),
        subpath,
        target: PathBuf::from(&asked.target),
        readonly: asked.readonly,
        idmap: asked
            .idmap
            .iter()
            .map(|one| IdMapping {
                from_id: one.from_id,
                to_id: one.to_id,
                range: one.range,
            })
            .collect(),
        kind: if asked.file {
            FileKind::File
        } else {
            FileKind::Directory
        },
    };
    service
        .host
        .backend
        .mount_into(&service.instance, &mount)
        .await
        .map_err(|error| Problem::of(Kind::Filesystem, &error))?;
    DONE
}

/// The volume and the path below it that a path in the container names.
fn volume_path(path: &Path) -> Option<(String, PathBuf)> {
    let mut below = path.strip_prefix(VOLUMES).ok()?.components();
    let Some(Component::Normal(volume)) = below.next() else {
        return None;
    };
    let rest = below.as_path();
    let plain = rest
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| (volume.to_string_lossy().into_owned(), rest.to_owned()))
}

fn segment(text: &str) -> Result<Segment, Refusal> {
    Segment::new(text).map_err(|error| Problem::of(Kind::InvalidId, &error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_a_volume_are_volume_paths() {
        let found = |path: &str| volume_path(Path::new(path));
        assert_eq!(
            found("/media/startos/volumes/main"),
            Some(("main".into(), PathBuf::new()))
        );
        assert_eq!(
            found("/media/startos/volumes/main/a/b"),
            Some(("main".into(), "a/b".into()))
        );
        assert_eq!(found("/media/startos/volumes/main/../db"), None);
        assert_eq!(found("/media/startos/volumes"), None);
        assert_eq!(found("/etc/passwd"), None);
    }
}
