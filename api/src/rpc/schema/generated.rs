//! The TypeScript twins of the types that cross to the web interface, and the page about errors.
//!
//! Invariant: the committed files are what the Rust types give now. `COPPICE_GEN=1` (`make gen`) writes
//! them; without, the tests compare. Each type is in one file, gathered here and not by `ts-rs`'s own
//! export, which writes a file for each type and by default beside the crate.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use coppice_actors::{Kind, model::Public};

use super::{
    super::{
        METHODS,
        wire::{METHOD, PARAMS, PARSE, REQUEST},
    },
    Declarations,
    typescript::{self, Type},
};

const HEAD: &str = "// Written by `make gen` from Rust types; change those instead.\n";

/// The document's types, and then those that only methods have.
fn gathered() -> (Declarations, Declarations) {
    let mut document = Declarations::none();
    document.add::<Public>();
    let mut methods = Declarations::of_methods();
    methods
        .found
        .retain(|name, _| !document.found.contains_key(name));
    (document, methods)
}

fn declared(types: &Declarations) -> String {
    let types = types.found.values();
    let types = types.map(|one| format!("{}export {}\n", one.about, one.typescript));
    types.collect::<Vec<_>>().join("\n")
}

fn document() -> String {
    format!("{HEAD}\n{}", declared(&gathered().0))
}

fn methods() -> String {
    let (document, methods) = gathered();
    let own = declared(&methods);
    let mut used = BTreeSet::new();
    for one in methods.found.values() {
        let of = typescript::declaration(&one.typescript);
        names(&of.expect("`ts-rs` writes what is known"), &mut used);
    }
    let mut rows = String::new();
    for method in METHODS {
        let (params, result) = (method.params.typescript(), method.result.typescript());
        let (name, about) = (method.name, method.about);
        for one in [&params, &result] {
            let of = typescript::reference(one);
            names(&of.expect("`ts-rs` writes what is known"), &mut used);
        }
        // A `String` takes everything.
        let _ = writeln!(
            rows,
            "  /** {about} */\n  '{name}': {{ params: {params}; result: {result} }};"
        );
    }
    let imported = document.found.keys().filter(|name| used.contains(*name));
    let imported: Vec<&str> = imported.map(String::as_str).collect();
    format!(
        "{HEAD}import type {{ {} }} from './document';\n\n{own}\n/** What every method takes and gives. */\nexport interface Methods {{\n{rows}}}\n",
        imported.join(", ")
    )
}

/// The names that a type refers to.
fn names(of: &Type, found: &mut BTreeSet<String>) {
    match of {
        Type::Named(name) => {
            found.insert(name.clone());
        }
        Type::List(of) | Type::Map(of) => names(of, found),
        Type::Tuple(of) | Type::Either(of) | Type::Both(of) => {
            of.iter().for_each(|one| names(one, found));
        }
        Type::Object(fields) => fields.iter().for_each(|field| names(&field.of, found)),
        Type::Unknown
        | Type::Never
        | Type::Text
        | Type::Number
        | Type::Boolean
        | Type::Null
        | Type::Literal(_) => {}
    }
}

const TYPES: &str = "../web/src/app/api/generated";
const DOCS: &str = "../docs";

const ERRORS: &str = "# Errors by number

<!-- Written by `make gen` from `actors/src/problem.rs`; change that instead. -->

A call of the API that is refused is answered with an `error`: its `code` is one of these numbers, its `message` the words
beside it, and its `data` says what happened:

- `details`: what failed, on what, and what to do next. This is what people should see;
- `debug`: causes, for a bug report; may be empty;
- `info`: values for programs; may be null.

A number keeps its meaning for ever, and those below 1000 are StartOS's. Of a call that is none, `message` says what is
wrong with it, and `data` is null. The command line prints `details`; its exit codes are in `coppice --help`.

| code | message | when |
| --- | --- | --- |
";

fn errors() -> String {
    let mut page = ERRORS.to_owned();
    let calls = [
        (PARSE, "The request is not JSON."),
        (
            REQUEST,
            "It is no call, nested too deeply, or one of too many.",
        ),
        (METHOD, "There is no such method."),
        (PARAMS, "The parameters do not fit the method."),
    ];
    for (code, when) in calls {
        let _ = writeln!(page, "| {code} | | {when} |");
    }
    for (kind, when) in Kind::ALL {
        let (code, words) = (kind.code(), kind.words());
        let _ = writeln!(page, "| {code} | {words} | {} |", when.trim());
    }
    page
}

fn check(folder: &str, file: &str, now: &str) {
    let path = Path::new(folder).join(file);
    if std::env::var_os("COPPICE_GEN").is_some_and(|value| value == "1") {
        fs::create_dir_all(folder).expect("the folder can be made");
        fs::write(&path, now).expect("the file can be written");
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
    assert!(!now.contains("bigint"), "a number is no JSON number");
}

#[test]
fn the_committed_types_of_the_document_are_those_that_rust_has_now() {
    check(TYPES, "document.ts", &document());
}

#[test]
fn the_committed_types_of_the_methods_are_those_that_rust_has_now() {
    check(TYPES, "methods.ts", &methods());
}

#[test]
fn the_committed_page_of_errors_is_that_of_the_kinds_there_are() {
    check(DOCS, "errors.md", &errors());
}

#[test]
fn every_type_the_interface_needs_is_declared() {
    let all = document() + &methods();
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
            all.contains(&format!("export type {name} = ")),
            "{name} is missing"
        );
    }
}
