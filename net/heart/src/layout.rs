//! The data folder, its id, and the folder for sockets that is named after it.
//!
//! Invariant: a folder is touched only if it is empty, new, or ours.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::config::HeartError;

/// The version of the data folder that this Coppice writes.
const DATA_VERSION: u32 = 1;

/// What may lie in a data folder before it has a VERSION, whole or as a `.partial` of a start that
/// was cut short.
const OURS: [&str; 10] = [
    "VERSION", "lock", "id", "state", "secrets", "store", "base", "services", "reserve", "password",
];

/// Six characters that name a data folder in the names of sockets, bridges and containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortId(String);

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl ShortId {
    /// The six characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0u8; 6];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let characters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Ok(Self(characters.iter().collect()))
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not six lowercase base32 characters.
#[derive(Debug, thiserror::Error)]
#[error("not six characters of a-z and 2-7")]
pub struct NotAnId;

impl FromStr for ShortId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() == 6 && text.bytes().all(|byte| ALPHABET.contains(&byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnId)
        }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The data folder, absolute.
    pub data: PathBuf,
    /// Its id.
    pub id: ShortId,
    /// The folder for its sockets.
    pub run: PathBuf,
}

impl Layout {
    /// The layout of a data folder that a heart has already prepared; changes nothing.
    ///
    /// # Errors
    /// When the folder or its id cannot be read.
    pub fn read(data_dir: &Path, run_root: &Path) -> Result<Self, HeartError> {
        let data = fs::canonicalize(data_dir).map_err(file("open", data_dir))?;
        let id = read_id(&data)?.ok_or_else(|| HeartError::Damaged {
            path: data.join("id"),
            expected: "six characters of a-z and 2-7",
        })?;
        Ok(Self {
            run: run_root.join(id.as_str()),
            data,
            id,
        })
    }

    /// Where the CLI connects; root only.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run.join("api.sock")
    }

    /// Where the edge connects for API requests.
    #[must_use]
    pub fn edge_socket(&self) -> PathBuf {
        self.run.join("edge.sock")
    }

    /// Tells the CLI which data folder this is.
    pub(crate) fn link(&self) -> PathBuf {
        self.run.join("data-dir")
    }
}

/// Makes the data folder if it is not there, and refuses one that is somebody else's. The result
/// is absolute.
pub(crate) fn prepare_data(data_dir: &Path) -> Result<PathBuf, HeartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(file("make the data folder", data_dir))?;
    let data = fs::canonicalize(data_dir).map_err(file("open", data_dir))?;
    if !data.join("VERSION").exists() {
        for entry in fs::read_dir(&data).map_err(file("list", &data))? {
            let name = entry.map_err(file("list", &data))?.file_name();
            if !is_ours(&name) {
                return Err(HeartError::Foreign {
                    data_dir: data,
                    entry: name.to_string_lossy().into_owned(),
                });
            }
        }
    }
    fs::set_permissions(&data, Permissions::from_mode(0o700)).map_err(file("protect", &data))?;
    Ok(data)
}

fn is_ours(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let whole = name.strip_suffix(b".partial").unwrap_or(name);
    OURS.iter().any(|ours| whole == ours.as_bytes())
}

/// Checks VERSION and gives the folder its id; under the lock.
pub(crate) fn prepare_identity(data: PathBuf, run_root: &Path) -> Result<Layout, HeartError> {
    let version = data.join("VERSION");
    match fs::read_to_string(&version) {
        Ok(text) => {
            let found: u32 = text.trim().parse().map_err(|_| HeartError::Damaged {
                path: version,
                expected: "a number",
            })?;
            if found > DATA_VERSION {
                return Err(HeartError::TooNew {
                    data_dir: data,
                    found,
                    known: DATA_VERSION,
                });
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_whole(&version, &format!("{DATA_VERSION}\n"))?;
        }
        Err(error) => return Err(file("read", &version)(error)),
    }
    let id = match read_id(&data)? {
        Some(id) => id,
        None => {
            let path = data.join("id");
            let id = ShortId::random().map_err(file("choose", &path))?;
            write_whole(&path, &format!("{id}\n"))?;
            id
        }
    };
    Ok(Layout {
        run: run_root.join(id.as_str()),
        data,
        id,
    })
}

/// Makes the folder for sockets, holds it against a copy of our data folder, and says in it whose
/// it is. The result keeps it held.
pub(crate) fn prepare_run(layout: &Layout, run_root: &Path) -> Result<File, HeartError> {
    for (dir, mode) in [(run_root, 0o755), (&layout.run, 0o711)] {
        DirBuilder::new()
            .recursive(true)
            .create(dir)
            .map_err(file("make the folder", dir))?;
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(file("protect", dir))?;
    }
    let held = File::open(&layout.run).map_err(file("open", &layout.run))?;
    if held.try_lock().is_err() {
        return Err(HeartError::IdInUse {
            data_dir: layout.data.clone(),
            id: layout.id.to_string(),
            other: fs::read_link(layout.link()).unwrap_or_default(),
        });
    }
    let link = layout.link();
    remove_if_there(&link)?;
    symlink(&layout.data, &link).map_err(file("make the link", &link))?;
    Ok(held)
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), HeartError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read_id(data: &Path) -> Result<Option<ShortId>, HeartError> {
    let path = data.join("id");
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|NotAnId| HeartError::Damaged {
                path,
                expected: "six characters of a-z and 2-7",
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", &path)(error)),
    }
}

/// Writes a small file so that it is there whole or not at all, also after a power cut.
fn write_whole(path: &Path, content: &str) -> Result<(), HeartError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut new = File::create(&partial)?;
        new.write_all(content.as_bytes())?;
        new.sync_all()?;
        fs::rename(&partial, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(file("write", path))
}

pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HeartError {
    let path = path.to_owned();
    move |source| HeartError::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(data: &Path) -> Result<Layout, HeartError> {
        prepare_identity(prepare_data(data)?, Path::new("/run/coppice"))
    }

    #[test]
    fn a_new_folder_gets_a_version_and_an_id_that_stay() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("deep/data");
        let first = prepared(&data).unwrap();
        assert_eq!(fs::read_to_string(data.join("VERSION")).unwrap(), "1\n");
        assert_eq!(
            fs::metadata(&data).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let second = prepared(&data).unwrap();
        assert_eq!(first.id, second.id);
        assert_eq!(
            Layout::read(&data, Path::new("/run/coppice")).unwrap().id,
            first.id
        );
    }

    #[test]
    fn a_folder_of_a_newer_version_is_refused() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("VERSION"), "2\n").unwrap();
        let error = prepared(data.path()).unwrap_err();
        assert!(matches!(error, HeartError::TooNew { found: 2, .. }));
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_refused_and_left_as_it_was() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("thesis.odt"), "").unwrap();
        fs::set_permissions(data.path(), Permissions::from_mode(0o755)).unwrap();
        let error = prepared(data.path()).unwrap_err();
        assert!(matches!(error, HeartError::Foreign { entry, .. } if entry == "thesis.odt"));
        let mode = fs::metadata(data.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn a_folder_whose_first_start_was_cut_short_is_still_ours() {
        let data = tempfile::tempdir().unwrap();
        for name in ["lock", "VERSION.partial", "id.partial"] {
            fs::write(data.path().join(name), "").unwrap();
        }
        prepared(data.path()).unwrap();
        assert_eq!(
            fs::read_to_string(data.path().join("VERSION")).unwrap(),
            "1\n"
        );

        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("thesis.partial"), "").unwrap();
        assert!(matches!(
            prepared(data.path()),
            Err(HeartError::Foreign { entry, .. }) if entry == "thesis.partial"
        ));
    }

    #[test]
    fn an_id_that_we_did_not_write_is_refused() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("id"), "../../etc").unwrap();
        assert!(matches!(
            prepared(data.path()),
            Err(HeartError::Damaged { .. })
        ));
    }
}
