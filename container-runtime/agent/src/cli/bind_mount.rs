//! `bind-mount`: a volume or an asset into a subcontainer.
//!
//! Without `--idmap` the mount is made here. With it the host is asked, because mapping ids needs
//! privilege over the file system the source is on.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use coppice_wire::mount::{BIND_MOUNT, BindMount, IdMapping};

use super::{Doing, Failure, host::Host};
use crate::sys;

#[derive(Debug, Default)]
struct Options {
    source: PathBuf,
    target: PathBuf,
    recursive: bool,
    readonly: bool,
    file: bool,
    idmap: Vec<IdMapping>,
}

pub(super) fn run(socket: &Path, args: Vec<OsString>) -> Result<i32, Failure> {
    let options = parse(args)?;
    make_target(&options)?;
    if options.idmap.is_empty() {
        mount_here(&options)?;
    } else {
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| Failure::usage(format!("{} is not UTF-8", path.display())))
        };
        let request = BindMount {
            source: text(&options.source)?,
            target: text(&options.target)?,
            recursive: options.recursive,
            readonly: options.readonly,
            file: options.file,
            idmap: options.idmap,
        };
        Host::dial(socket)?.call(BIND_MOUNT, &request)?;
    }
    Ok(0)
}

fn parse(args: Vec<OsString>) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        let (name, inline) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                &bytes[..at],
                Some(std::ffi::OsStr::from_bytes(&bytes[at + 1..]).to_owned()),
            ),
            None => (bytes, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| Failure::usage(format!("`{}` needs a value", arg.display())))
        };
        match name {
            b"--source" => options.source = value()?.into(),
            b"--target" => options.target = value()?.into(),
            b"--idmap" => options.idmap.push(id_mapping(&value()?.to_string_lossy())?),
            b"--recursive" => options.recursive = true,
            b"--readonly" => options.readonly = true,
            b"--file" => options.file = true,
            _ => {
                return Err(Failure::usage(format!(
                    "bind-mount has no option `{}`",
                    arg.display()
                )));
            }
        }
    }
    for (path, name) in [(&options.source, "--source"), (&options.target, "--target")] {
        if !path.is_absolute() {
            return Err(Failure::usage(format!("{name} must be an absolute path")));
        }
    }
    Ok(options)
}

/// `from:to[:range]`.
fn id_mapping(text: &str) -> Result<IdMapping, Failure> {
    let wrong = || Failure::usage(format!("--idmap is from:to[:range], not `{text}`"));
    let numbers: Vec<u32> = text
        .split(':')
        .map(|number| number.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [from_id, to_id] => Ok(IdMapping {
            from_id,
            to_id,
            range: 1,
        }),
        [from_id, to_id, range] if range > 0 => Ok(IdMapping {
            from_id,
            to_id,
            range,
        }),
        _ => Err(wrong()),
    }
}

fn make_target(options: &Options) -> Result<(), Failure> {
    let target = &options.target;
    let made = || format!("make {}", target.display());
    if !options.file {
        return fs::create_dir_all(target).doing(made);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).doing(made)?;
    }
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(target)
        .map(drop)
        .doing(made)
}

fn mount_here(options: &Options) -> Result<(), Failure> {
    let (source, target) = (options.source.display(), options.target.display());
    let mount = sys::clone_mount(&options.source, options.recursive)
        .doing(|| format!("take a mount of {source}"))?;
    if options.readonly {
        sys::set_readonly(&mount, options.recursive)
            .doing(|| format!("make the mount of {source} read-only"))?;
    }
    sys::attach_mount(&mount, &options.target).doing(|| format!("mount {source} on {target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idmap_has_two_or_three_numbers() {
        let mapping = id_mapping("0:1000").unwrap();
        assert_eq!(
            (mapping.from_id, mapping.to_id, mapping.range),
            (0, 1000, 1)
        );
        assert_eq!(id_mapping("0:1000:5").unwrap().range, 5);
        for bad in ["", "1", "1:2:0", "1:2:3:4", "a:b", "-1:2", "1:4294967296"] {
            assert!(id_mapping(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_vector_the_sdk_uses_is_understood() {
        let args = [
            "--source",
            "/a",
            "--target",
            "/b",
            "--recursive",
            "--file",
            "--idmap",
            "0:33:1",
        ];
        let options = parse(args.iter().map(OsString::from).collect()).unwrap();
        assert!(options.recursive && options.file && !options.readonly);
        assert_eq!(options.idmap.len(), 1);
    }

    #[test]
    fn relative_paths_are_refused() {
        let args = ["--source", "a", "--target", "/b"];
        assert!(parse(args.iter().map(OsString::from).collect()).is_err());
    }
}
