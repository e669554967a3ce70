//! Effects about the data version and the server's settings: §5.14 and §5.15.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, DONE, Request, json, limits};
use crate::{
    problem::{Kind, Problem},
    service::Watched,
};

/// Name of the file beside the volumes.
const VERSION_FILE: &str = ".version";

#[derive(Deserialize)]
struct SetVersion {
    version: Option<String>,
}

/// Durable before it answers: a migration must never be repeated because its end was forgotten.
pub(super) fn set_version(request: Request<'_>) -> Answer {
    let SetVersion { version } = request.params()?;
    version.as_deref().map_or(Ok(()), limits::version)?;
    write_version(&request.service.volumes(), version.as_deref())
        .map_err(|error| Problem::of(Kind::Filesystem, &error))?;
    DONE
}

pub(super) fn get_version(request: Request<'_>) -> Answer {
    let version = read_version(&request.service.volumes())
        .map_err(|error| Problem::of(Kind::Filesystem, &error))?;
    Ok(version.map_or(Value::Null, Value::String))
}

/// The data version of the volumes in `folder`.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_version(folder: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(VERSION_FILE)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_version(folder: &Path, version: Option<&str>) -> io::Result<()> {
    let path = folder.join(VERSION_FILE);
    match version {
        Some(version) => {
            let partial = folder.join(".version.partial");
            let mut file = File::create(&partial)?;
            file.write_all(version.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
        }
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    File::open(folder)?.sync_all()
}

#[derive(Deserialize)]
struct Smtp {
    callback: Option<u64>,
}

pub(super) fn smtp(request: Request<'_>) -> Answer {
    let Smtp { callback } = request.params()?;
    request.watch(Watched::Smtp, callback)?;
    json(&request.service.host.smtp()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_survives_and_null_deletes_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_version(folder.path()).unwrap(), None);
        write_version(folder.path(), Some(">=1.0:0 <2:0")).unwrap();
        assert_eq!(
            read_version(folder.path()).unwrap().as_deref(),
            Some(">=1.0:0 <2:0")
        );
        write_version(folder.path(), None).unwrap();
        write_version(folder.path(), None).unwrap();
        assert_eq!(read_version(folder.path()).unwrap(), None);
    }
}
