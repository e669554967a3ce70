//! Options of the four subcontainer commands.
//!
//! Everything after the root belongs to the command, hyphens included. Values are bytes: neither
//! paths nor variables need to be UTF-8.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use super::Failure;

/// What `launch`, `launch-init`, `exec` and `exec-command` are told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Subcontainer {
    /// `K=V` as given, in order.
    pub(super) env: Vec<OsString>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) workdir: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) force_tty: bool,
    pub(super) force_stderr_tty: bool,
    pub(super) pty_size: Option<PtySize>,
    pub(super) root: PathBuf,
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct PtySize {
    pub(super) rows: u16,
    pub(super) cols: u16,
    pub(super) xpixel: u16,
    pub(super) ypixel: u16,
}

pub(super) fn parse(args: Vec<OsString>) -> Result<Subcontainer, Failure> {
    let mut parsed = Subcontainer::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            parsed.root = args.next().map(PathBuf::from).unwrap_or_default();
            break;
        }
        if bytes.len() < 2 || !bytes.starts_with(b"-") {
            parsed.root = PathBuf::from(arg);
            break;
        }
        let (name, inline) = split(bytes);
        let mut value = || {
            inline
                .map(|inline| OsStr::from_bytes(inline).to_owned())
                .or_else(|| args.next())
                .ok_or_else(|| Failure::usage(format!("`{}` needs a value", arg.display())))
        };
        match name {
            b"-e" | b"--env" => parsed.env.push(value()?),
            b"--env-file" => parsed.env_file = Some(value()?.into()),
            b"-w" | b"--workdir" => parsed.workdir = Some(value()?.into()),
            b"-u" | b"--user" => parsed.user = Some(value()?.to_string_lossy().into_owned()),
            b"--pty-size" => parsed.pty_size = Some(pty_size(&value()?)?),
            b"--force-tty" => parsed.force_tty = true,
            b"--force-stderr-tty" => parsed.force_stderr_tty = true,
            _ => {
                return Err(Failure::usage(format!(
                    "there is no option `{}`",
                    arg.display()
                )));
            }
        }
    }
    if parsed.root.as_os_str().is_empty() {
        return Err(Failure::usage("the root of the subcontainer is missing"));
    }
    parsed.command = args.collect();
    Ok(parsed)
}

/// `--name=value`, `--name`, `-nvalue` or `-n`.
fn split(arg: &[u8]) -> (&[u8], Option<&[u8]>) {
    if arg.starts_with(b"--") {
        return match arg.iter().position(|byte| *byte == b'=') {
            Some(at) => (&arg[..at], Some(&arg[at + 1..])),
            None => (arg, None),
        };
    }
    match arg.split_at_checked(2) {
        Some((name, rest)) if !rest.is_empty() => (name, Some(rest)),
        _ => (arg, None),
    }
}

fn pty_size(text: &OsStr) -> Result<PtySize, Failure> {
    let wrong = || Failure::usage("--pty-size is <rows>:<cols>[:<xpixel>:<ypixel>]");
    let numbers: Vec<u16> = text
        .to_str()
        .ok_or_else(wrong)?
        .split(':')
        .map(|number| number.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [rows, cols] => Ok(PtySize {
            rows,
            cols,
            ..PtySize::default()
        }),
        [rows, cols, xpixel, ypixel] => Ok(PtySize {
            rows,
            cols,
            xpixel,
            ypixel,
        }),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_vector_the_sdk_uses_is_understood() {
        let parsed = parse(words(&[
            "--env-file=/media/startos/images/main.env",
            "--user=www-data",
            "--workdir=/srv",
            "--env=A=b=c",
            "--env=EMPTY=",
            "/media/startos/subcontainers/x",
            "sh",
            "-c",
            "echo --env=no",
        ]))
        .unwrap();
        assert_eq!(parsed.env, words(&["A=b=c", "EMPTY="]));
        assert_eq!(parsed.user.as_deref(), Some("www-data"));
        assert_eq!(parsed.root, PathBuf::from("/media/startos/subcontainers/x"));
        assert_eq!(parsed.command, words(&["sh", "-c", "echo --env=no"]));
    }

    #[test]
    fn short_and_separate_forms_are_the_same() {
        let long = parse(words(&["--env=A=1", "--user=5", "--workdir=/x", "/r", "c"])).unwrap();
        assert_eq!(
            parse(words(&["-e", "A=1", "-u", "5", "-w", "/x", "/r", "c"])).unwrap(),
            long
        );
        assert_eq!(
            parse(words(&["-eA=1", "-u5", "-w/x", "/r", "c"])).unwrap(),
            long
        );
        assert_eq!(
            parse(words(&[
                "--env",
                "A=1",
                "--user",
                "5",
                "--workdir",
                "/x",
                "/r",
                "c"
            ]))
            .unwrap(),
            long
        );
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for bad in [
            &["--wat", "/r"][..],
            &["--user"],
            &[],
            &["--pty-size=1", "/r"],
        ] {
            assert_eq!(parse(words(bad)).unwrap_err().status, 2);
        }
    }

    #[test]
    fn hyphens_after_the_root_are_the_commands() {
        let parsed = parse(words(&["/r", "--version", "--"])).unwrap();
        assert_eq!(parsed.command, words(&["--version", "--"]));
    }
}
