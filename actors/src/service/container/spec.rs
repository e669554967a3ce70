//! What a service's container is made of, put together from its manifest and its allocation.

use std::{io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use coppice_containers::{ContainerSpec, Device, ImageSpec, Init, Segment, VolumeSpec};

use super::super::{ServiceContext, limits};
use crate::problem::{Kind, Problem};

/// Pid 1 of every container.
const AGENT: &str = "/usr/bin/coppice-agent";

/// The folder of a service's socket: everyone may pass, only container root may connect.
pub(super) fn make_socket_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

/// The specification of a service's container as it is installed now.
pub(super) async fn build(service: &Arc<ServiceContext>) -> Result<ContainerSpec, Problem> {
    let host = &service.host;
    let allocation = host
        .document
        .allocation(&service.id)
        .ok_or_else(|| service.gone())?;
    let package = host.packages.open_installed(&service.id).await?;
    let mut volumes = Vec::new();
    for id in package.volume_ids() {
        let id = Segment::new(&id).map_err(|error| Problem::of(Kind::InvalidId, &error))?;
        volumes.push(VolumeSpec {
            dir: service.volumes().join(id.as_str()),
            id,
        });
    }
    let mut images = Vec::new();
    for image in package.images()? {
        images.push(ImageSpec {
            id: Segment::new(&image.id).map_err(|error| Problem::of(Kind::InvalidId, &error))?,
            file: image.file,
            env: image.env,
            json: image.json,
        });
    }
    let devices = package
        .devices()
        .into_iter()
        .map(|path| Device { path })
        .collect();
    Ok(ContainerSpec {
        instance: service.instance.clone(),
        id_base: allocation.id_base(),
        hostname: service.id.chars().take(63).collect(),
        lang: host.lang(),
        base_image: host.base_image.clone(),
        layer_dir: host.layer.clone(),
        javascript: package.javascript()?,
        assets: package.assets(),
        images,
        volumes,
        logs_dir: service.folder().join("logs"),
        cache_dir: service.folder().join("cache"),
        rpc_dir: host.socket_folder(&service.id),
        network: Some(host.network.container_link(allocation)?),
        resolv_conf: format!("nameserver {}\n", host.network.bridge_address()),
        devices,
        limits: limits::effective(&service.entry()?.limits),
        init: Init {
            argv: vec![AGENT.to_owned()],
            env: vec![("LANG".to_owned(), host.lang())],
        },
    })
}
