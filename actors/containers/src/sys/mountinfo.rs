//! Reading `/proc/<pid>/mountinfo`.

use std::{ffi::OsString, fs, io, os::unix::ffi::OsStringExt, path::PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) target: PathBuf,
    pub(crate) options: String,
    pub(crate) fs_type: String,
    pub(crate) source: String,
    pub(crate) super_options: String,
}

/// The mounts that the calling thread sees, in the order they were made.
pub(crate) fn of_self() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read("/proc/thread-self/mountinfo")?))
}

/// The mounts that a process sees.
pub(crate) fn of_process(pid: i32) -> io::Result<Vec<Mount>> {
    Ok(parse(&fs::read(format!("/proc/{pid}/mountinfo"))?))
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

/// `id parent dev root target options [optional fields] - type source super-options`.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let target = fields.nth(4)?;
    let options = fields.next()?;
    fields.find(|field| *field == b"-")?;
    let text = |field: Option<&[u8]>| Some(String::from_utf8_lossy(field?).into_owned());
    Some(Mount {
        target: PathBuf::from(OsString::from_vec(unescape(target))),
        options: text(Some(options))?,
        fs_type: text(fields.next())?,
        source: text(fields.next())?,
        super_options: text(fields.next())?,
    })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read() {
        let line = b"36 35 98:0 /mnt1 /with\\040space rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n";
        let mounts = parse(line);
        assert_eq!(
            mounts,
            [Mount {
                target: PathBuf::from("/with space"),
                options: "rw,noatime".to_owned(),
                fs_type: "ext3".to_owned(),
                source: "/dev/root".to_owned(),
                super_options: "rw,errors=continue".to_owned(),
            }]
        );
    }

    #[test]
    fn nonsense_is_skipped() {
        assert!(parse(b"\n1 2 3\n").is_empty());
        assert_eq!(unescape(b"a\\zz\\0"), b"a\\zz\\0");
    }
}
