//! Asking a package's code for its manifest.
//!
//! The code is the packager's own and runs as them. It may print what it likes: the manifest comes
//! through a file, not through standard output.
//!
//! It is loaded as in its container, where nothing is above it: the project's own `package.json`, which may say
//! that the project's code is no CommonJS, says nothing of the bundle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::PackError;
use crate::manifest::Manifest;

const SCRIPT: &str = "
const [, code, out] = process.argv;
const { manifest } = require(code);
if (manifest === undefined) throw new Error('it exports no `manifest`');
require('fs').writeFileSync(out, JSON.stringify(manifest));
process.exit(0);
";

pub(super) fn evaluate(node: &Path, javascript: &Path) -> Result<Manifest, PackError> {
    let script = javascript.join("index.js");
    let absolute = fs::canonicalize(javascript).map_err(PackError::input(javascript))?;
    let aside = tempfile::tempdir().map_err(PackError::output(Path::new("/tmp")))?;
    let (code, answer) = (aside.path().join("package"), aside.path().join("manifest"));
    symlink(absolute, &code).map_err(PackError::output(&code))?;
    let output = Command::new(node)
        .args(["--preserve-symlinks", "-e", SCRIPT])
        .arg(code.join("index.js"))
        .arg(&answer)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| PackError::NoNode {
            node: node.to_owned(),
            source,
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(PackError::Script {
            script,
            said: essence(&said, &output.status.to_string()),
        });
    }
    let json = fs::read(&answer).map_err(PackError::input(&answer))?;
    Ok(Manifest::from_json(&json)?)
}

/// The line of Node's complaint that names the error.
fn essence(said: &str, status: &str) -> String {
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let named = lines.iter().find(|line| {
        let (name, _) = line.split_once(": ").unwrap_or((line, ""));
        name.ends_with("Error")
    });
    match named.or(lines.last()) {
        Some(line) => (*line).to_owned(),
        None => status.to_owned(),
    }
}
