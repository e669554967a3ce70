//! The folder of one run: everything on disk is in it, and it says what names the run uses.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Set for everything that a run starts, to its folder: processes are known by it.
pub(crate) const INSIDE: &str = "COPPICE_E2E_INSIDE";

const PREFIX: &str = "coppice-e2e-";
/// Not `/tmp`: where that is memory, the packages would not fit.
const WHERE: &str = "/var/tmp";
/// The run's main server, one beside it, and one that is never to come up.
pub(crate) const SERVERS: usize = 3;

/// A run's folder, seen from either side.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    pub(crate) folder: PathBuf,
    /// The short ids of its servers, chosen beforehand so that they are known whatever happens.
    pub(crate) ids: Vec<String>,
}

/// Held as long as the run lives.
pub(crate) struct Held {
    _lock: File,
}

impl Scratch {
    pub(crate) fn make() -> io::Result<(Self, Held)> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(WHERE)?
            .keep();
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        let ids: Vec<String> = (0..SERVERS).map(|_| short_id()).collect();
        fs::write(folder.join("ids"), ids.join("\n"))?;
        // Containers' pid 1 passes through on the way to its root.
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        Ok((Self { folder, ids }, Held { _lock: lock }))
    }

    pub(crate) fn of(folder: &OsStr) -> io::Result<Self> {
        let folder = PathBuf::from(folder);
        let ids = fs::read_to_string(folder.join("ids"))?;
        Ok(Self {
            folder,
            ids: ids.lines().map(str::to_owned).collect(),
        })
    }

    /// Runs that ended without cleaning up: nobody holds their lock.
    pub(crate) fn abandoned() -> Vec<Self> {
        let entries = fs::read_dir(WHERE).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
            .filter(|entry| {
                // One that is just being made has no lock yet.
                File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok())
            })
            .filter_map(|entry| Self::of(entry.path().as_os_str()).ok())
            .collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An empty folder, made now, for what is mounted on the way to a machine of the run's own.
    pub(crate) fn mount_point(&self) -> PathBuf {
        let folder = self.path("mount-point");
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// The folder's own name; no other run has it.
    pub(crate) fn name(&self) -> String {
        self.folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// Where a server's data goes, on the run's own disk. The name of the run is in it a second time:
    /// files on a disk that is mounted nowhere here are named from that disk's top.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.path("disk").join(self.name()).join(name)
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        let name = self.name();
        Path::new(path)
            .components()
            .any(|part| part.as_os_str() == name.as_str())
    }
}

fn short_id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    rand::random::<[u8; 6]>()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .iter()
        .collect()
}
