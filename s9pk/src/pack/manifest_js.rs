//! Asking a package's code for its manifest.
//!
//! The code is the packager's own and runs as them. It may print what it likes: the manifest comes
//! through a file, not through standard output.

use std::fs;
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
    let absolute = fs::canonicalize(&script).map_err(PackError::input(&script))?;
    let answer = tempfile::NamedTempFile::new().map_err(PackError::output(Path::new("/tmp")))?;
    let output = Command::new(node)
        .args(["-e", SCRIPT])
        .arg(&absolute)
        .arg(answer.path())
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
    let json = fs::read(answer.path()).map_err(PackError::input(answer.path()))?;
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
