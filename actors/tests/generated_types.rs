//! The TypeScript twins of the document's types.
//!
//! Invariant: the committed file is what the Rust types give now. `COPPICE_GEN=1` (`make gen`) writes it; without, the test
//! compares. All types go into one file, gathered here and not by `ts-rs`'s own export, which writes a file for each
//! type and by default beside the crate.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use coppice_actors::{
    coppice::{ServiceSummary, TreeNode},
    model::Public,
};
use ts_rs::{Config, TS, TypeVisitor};

const HEAD: &str = "// Written by `make gen` from Rust types of the crate `coppice-actors`; change those instead.\n";

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src/app/api/generated/document.ts")
}

/// Declarations by name, and with each those it refers to.
#[derive(Default)]
struct Declarations {
    config: Config,
    found: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only what is declared somewhere has a place to be written to; strings and numbers have none.
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(&self.config);
        if self.found.contains_key(&name) {
            return;
        }
        let docs = T::docs().unwrap_or_default();
        let declared = format!("{docs}export {}\n", T::decl(&self.config));
        self.found.insert(name, declared);
        T::visit_dependencies(self);
    }
}

fn generated() -> String {
    let mut types = Declarations::default();
    types.visit::<Public>();
    types.visit::<ServiceSummary>();
    types.visit::<TreeNode>();
    let declared: Vec<String> = types.found.into_values().collect();
    format!("{HEAD}\n{}", declared.join("\n"))
}

#[test]
fn the_committed_typescript_types_are_those_that_rust_has_now() {
    let (path, now) = (committed(), generated());
    if std::env::var_os("COPPICE_GEN").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the folder can be made");
        fs::write(&path, &now).expect("the file can be written");
    }
    let was = fs::read_to_string(&path).unwrap_or_default();
    let differs = now
        .lines()
        .find(|line| !was.lines().any(|old| old == *line));
    assert!(
        was == now,
        "{} is stale: run `make gen`. The first new line is {differs:?}",
        path.display()
    );
}

#[test]
fn every_type_the_interface_needs_is_declared_and_every_number_is_a_json_number() {
    let text = generated();
    for name in [
        "Public",
        "PackageEntry",
        "RestartRecord",
        "Cause",
        "Parked",
        "ServiceSummary",
        "TreeNode",
    ] {
        assert!(
            text.contains(&format!("export type {name} = ")),
            "{name} is missing"
        );
    }
    assert!(
        !text.contains("bigint"),
        "give such a field `#[ts(type = \"number\")]`"
    );
}
