//! The environment of a command: inherited, then the image's file, then what was given.

use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::{Doing, Failure, arguments::Subcontainer};

/// Later sources win; names and values are bytes.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether the file or the command line set `HOME`: then the user's own does not.
    home_is_given: bool,
}

impl Environment {
    /// Reads the image's file now: its path is in the container's tree, not in the root's.
    pub(super) fn collect(options: &Subcontainer) -> Result<Self, Failure> {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            environment
                .variables
                .insert(name.into_vec(), value.into_vec());
        }
        if let Some(path) = &options.env_file {
            let text = std::fs::read(path)
                .doing(|| format!("read the variables in {}", path.display()))?;
            for line in text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                environment.set(line);
            }
        }
        for given in &options.env {
            environment.set(given.as_bytes());
        }
        Ok(environment)
    }

    fn set(&mut self, assignment: &[u8]) {
        let Some(at) = assignment
            .iter()
            .position(|byte| *byte == b'=')
            .filter(|at| *at > 0)
        else {
            eprintln!(
                "start-container: `{}` is not a variable (K=V); it is left out",
                OsStr::from_bytes(assignment).display()
            );
            return;
        };
        let (name, value) = (&assignment[..at], &assignment[at + 1..]);
        self.home_is_given |= name == b"HOME";
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The user's home, unless the file or the command line said otherwise.
    pub(super) fn set_home(&mut self, home: &[u8]) {
        if !self.home_is_given {
            self.variables.insert(b"HOME".to_vec(), home.to_owned());
        }
    }

    /// Where commands without a slash are looked for.
    pub(super) fn path(&self) -> OsString {
        let given = self.variables.get(&b"PATH"[..]);
        // What the C library does without a PATH, and the directories of a usual login before it.
        let usual = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        OsString::from_vec(given.cloned().unwrap_or_else(|| usual.to_vec()))
    }

    /// As `execve` wants it; a variable that holds a zero byte cannot exist.
    pub(super) fn to_c(&self) -> Vec<CString> {
        self.variables
            .iter()
            .filter_map(|(name, value)| CString::new([name, &b"="[..], value].concat()).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(file: &str, env: &[&str]) -> (tempfile::NamedTempFile, Subcontainer) {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, file).unwrap();
        let options = Subcontainer {
            env_file: Some(path.path().into()),
            env: env.iter().map(OsString::from).collect(),
            ..Subcontainer::default()
        };
        (path, options)
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let (_file, options) = options("A=file\nB=x=y z\nno-assignment\n", &["A=given", "N=1\n2"]);
        let environment = Environment::collect(&options).unwrap();
        let get = |name: &str| {
            environment
                .variables
                .get(name.as_bytes())
                .map(Vec::as_slice)
        };
        assert_eq!(get("A"), Some(&b"given"[..]));
        assert_eq!(get("B"), Some(&b"x=y z"[..]));
        assert_eq!(get("N"), Some(&b"1\n2"[..]));
        assert_eq!(get("no-assignment"), None);
    }

    #[test]
    fn home_comes_from_the_user_unless_it_was_given() {
        let (_file, with) = options("HOME=/given\n", &[]);
        let mut environment = Environment::collect(&with).unwrap();
        environment.set_home(b"/root");
        assert_eq!(environment.variables[&b"HOME"[..]], b"/given");
        let (_file, without) = options("", &[]);
        let mut environment = Environment::collect(&without).unwrap();
        environment.set_home(b"/var/www");
        assert_eq!(environment.variables[&b"HOME"[..]], b"/var/www");
    }

    #[test]
    fn an_unreadable_file_is_an_error() {
        let options = Subcontainer {
            env_file: Some("/nowhere/x.env".into()),
            ..Subcontainer::default()
        };
        assert!(Environment::collect(&options).is_err());
    }
}
