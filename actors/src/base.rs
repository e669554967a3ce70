//! What every container stands on: the base image, and this build's agent and runtime over it.
//!
//! Both are kept in `DATA/base` under names that follow from their content, so a container that
//! still runs on an older pair keeps it, and a new build never changes a file that is mounted. What
//! nobody runs on any more goes at the next start ([`sweep`]).

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use coppice_remove_tree::remove_tree;

use crate::problem::{Kind, Problem};

/// The programs that a build brings into every container.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// The static agent, which is `start-container` too.
    pub agent: &'static [u8],
    /// The bundled JavaScript runtime.
    pub runtime: &'static [u8],
}

const PROGRAM: &str = "usr/bin/start-container";
const RUNTIME: &str = "usr/lib/startos/init/index.js";
/// Other names of the program; the name decides what it is.
const NAMES: [&str; 2] = ["usr/bin/coppice-agent", "usr/bin/start-cli"];

/// Makes sure that base image and layer are in `folder`; gives their paths.
///
/// # Errors
/// When the image is not there, or the disk is full.
pub fn prepare(
    folder: &Path,
    base_image: Option<&Path>,
    layer: Layer,
) -> Result<(PathBuf, PathBuf), Problem> {
    let failed = |what: &str, path: &Path, error: &io::Error| {
        Problem::new(
            Kind::Filesystem,
            format!("could not {what} `{}`: {error}", path.display()),
        )
    };
    fs::create_dir_all(folder).map_err(|error| failed("make", folder, &error))?;
    let image = match base_image {
        Some(given) => keep_image(folder, given)
            .map_err(|error| failed("take the base image", given, &error))?,
        None => newest_image(folder).ok_or_else(|| {
            Problem::not_found(format!(
                "no base image is in `{}`; start with --base-image, or build one with `make run`",
                folder.display()
            ))
        })?,
    };
    let layer = write_layer(folder, layer)
        .map_err(|error| failed("write the runtime layer to", folder, &error))?;
    Ok((image, layer))
}

/// Removes images and layers of earlier builds, and what a start that was cut short left; gives what is
/// gone. `kept` are those in use: containers that still run on an older pair keep it.
///
/// # Errors
/// When the folder cannot be listed. What cannot be removed is left for the next start.
pub fn sweep(folder: &Path, kept: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_old(&path) || kept.contains(&path) {
            continue;
        }
        match remove_tree(&path) {
            Ok(()) => removed.push(path),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "an old base was not removed");
            }
        }
    }
    Ok(removed)
}

/// Whether it is of a kind that this module makes and would not miss.
fn is_old(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name.ends_with(".squashfs") || name.ends_with(".partial") || name.starts_with("layer-")
    })
}

fn keep_image(folder: &Path, given: &Path) -> io::Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(given)?)?;
    let kept = folder.join(format!("{}.squashfs", hasher.finalize()));
    if !kept.exists() {
        let partial = folder.join("image.partial");
        fs::copy(given, &partial)?;
        fs::File::open(&partial)?.sync_all()?;
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o444))?;
        fs::rename(&partial, &kept)?;
    }
    // The newest is the one that a start without --base-image takes.
    fs::write(
        folder.join("current.partial"),
        kept.file_name().unwrap_or_default().as_encoded_bytes(),
    )?;
    fs::rename(folder.join("current.partial"), folder.join("current"))?;
    Ok(kept)
}

fn newest_image(folder: &Path) -> Option<PathBuf> {
    let name = fs::read_to_string(folder.join("current")).ok()?;
    Some(folder.join(name.trim())).filter(|path| path.is_file())
}

fn write_layer(folder: &Path, layer: Layer) -> io::Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(layer.agent).update(layer.runtime);
    let kept = folder.join(format!("layer-{}", &hasher.finalize().to_hex()[..32]));
    if kept.is_dir() {
        return Ok(kept);
    }
    let partial = folder.join("layer.partial");
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(&partial.join(PROGRAM), layer.agent, 0o755)?;
    write(&partial.join(RUNTIME), layer.runtime, 0o644)?;
    for name in NAMES {
        symlink("start-container", partial.join(name))?;
    }
    fs::rename(&partial, &kept)?;
    Ok(kept)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_and_layer_are_kept_by_content_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("given");
        fs::write(&given, "an image").unwrap();
        let data = folder.path().join("base");
        let layer = Layer {
            agent: b"agent",
            runtime: b"runtime",
        };
        let (image, first) = prepare(&data, Some(&given), layer).unwrap();
        fs::remove_file(&given).unwrap();
        let (again, same) = prepare(&data, None, layer).unwrap();
        assert_eq!((&image, &first), (&again, &same));
        assert_eq!(
            fs::read(first.join("usr/bin/coppice-agent")).unwrap(),
            b"agent"
        );
        let newer = Layer {
            agent: b"newer",
            ..layer
        };
        assert_ne!(prepare(&data, None, newer).unwrap().1, first);
        assert!(first.is_dir(), "a layer that may be mounted stays");
    }

    #[test]
    fn what_nobody_runs_on_goes_and_the_current_and_the_used_stay() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("given");
        let data = folder.path().join("base");
        let made = |content: &'static [u8]| {
            fs::write(&given, content).unwrap();
            let layer = Layer {
                agent: content,
                runtime: b"runtime",
            };
            prepare(&data, Some(&given), layer).unwrap()
        };
        let (old, used, current) = (made(b"old"), made(b"used"), made(b"current"));
        fs::write(data.join("image.partial"), "half").unwrap();
        fs::write(data.join("notes.txt"), "somebody's").unwrap();
        let kept = [&used, &current].map(|(image, layer)| [image.clone(), layer.clone()]);
        let mut removed = sweep(&data, kept.as_flattened()).unwrap();
        removed.sort();
        let mut expected = vec![data.join("image.partial"), old.0, old.1];
        expected.sort();
        assert_eq!(removed, expected);
        let there = [used.0, used.1, current.0, current.1, data.join("notes.txt")];
        assert!(there.iter().all(|path| path.exists()), "{there:?}");
        assert!(newest_image(&data).is_some(), "the next start finds it");
        assert!(sweep(&data, kept.as_flattened()).unwrap().is_empty());
    }

    #[test]
    fn without_an_image_the_answer_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = prepare(
            folder.path(),
            None,
            Layer {
                agent: b"",
                runtime: b"",
            },
        )
        .unwrap_err();
        assert!(error.details.contains("--base-image"));
    }
}
