//! Puts what a new package project starts from into the command line: the template, and the SDK's sources.
//!
//! Both are text that people wrote, so they are taken as they stand; nothing is built for it.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What goes into a project: from where, seen from the top of the checkout, to where in the project.
const PARTS: [(&str, &str); 7] = [
    ("sdk/template", ""),
    ("tsconfig.base.json", "tsconfig.base.json"),
    ("sdk/coppice/bin", "vendor/coppice-sdk/bin"),
    ("sdk/coppice/src", "vendor/coppice-sdk/src"),
    ("sdk/coppice/README.md", "vendor/coppice-sdk/README.md"),
    (
        "sdk/coppice/package.json",
        "vendor/coppice-sdk/package.json",
    ),
    (
        "sdk/coppice/tsconfig.build.json",
        "vendor/coppice-sdk/tsconfig.build.json",
    ),
];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let top = here.parent().expect("the crate is in the checkout");
    let mut files = Vec::new();
    for (from, to) in PARTS {
        println!("cargo::rerun-if-changed={}", top.join(from).display());
        collect(&top.join(from), Path::new(to), &mut files);
    }
    files.sort();
    let mut code = String::from("pub(super) static FILES: &[(&str, &str)] = &[\n");
    for (to, from) in &files {
        writeln!(code, "    ({to:?}, include_str!({from:?})),").expect("writing to a string");
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("project.rs"), code).expect("OUT_DIR can be written");
}

/// Every file at or below `from`, with its path in a project.
fn collect(from: &Path, to: &Path, files: &mut Vec<(PathBuf, PathBuf)>) {
    if from.is_file() {
        files.push((to.to_owned(), from.to_owned()));
        return;
    }
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("a folder of the checkout can be read");
        collect(&entry.path(), &to.join(entry.file_name()), files);
    }
}
