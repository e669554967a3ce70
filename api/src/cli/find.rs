//! Which running server is meant.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Where running servers are.
const RUN: &str = "/run/coppice";

/// No server, or too many.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// None runs.
    #[error("no Coppice runs on this machine; start one with `make run` or `coppice heart`")]
    None,
    /// None runs with that folder.
    #[error("no Coppice runs with the data folder `{0}`; start it with `coppice heart --data-dir`")]
    NotThere(PathBuf),
    /// Several run.
    #[error("more than one Coppice runs here ({}); say which with --data-dir", .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Several(Vec<PathBuf>),
    /// It is there and does not let us in.
    #[error("only root may use `{0}`; try again with sudo")]
    Denied(PathBuf),
}

/// The root-only socket of the server meant.
///
/// # Errors
/// [`NotFound`].
pub(super) fn socket(data_dir: Option<&Path>) -> Result<PathBuf, NotFound> {
    let wanted = data_dir.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned()));
    let mut running = Vec::new();
    let mut denied = None;
    for entry in std::fs::read_dir(RUN).into_iter().flatten().flatten() {
        let socket = entry.path().join("api.sock");
        let Ok(data) = std::fs::read_link(entry.path().join("data-dir")) else {
            continue;
        };
        if wanted.as_ref().is_some_and(|wanted| *wanted != data) {
            continue;
        }
        match UnixStream::connect(&socket) {
            Ok(_) => running.push((data, socket)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(socket),
            // A server that ended without tidying up.
            Err(_) => {}
        }
    }
    match (running.len(), denied) {
        (1, _) => Ok(running.remove(0).1),
        (0, Some(socket)) => Err(NotFound::Denied(socket)),
        (0, None) => Err(wanted.map_or(NotFound::None, NotFound::NotThere)),
        _ => Err(NotFound::Several(
            running.into_iter().map(|(data, _)| data).collect(),
        )),
    }
}
