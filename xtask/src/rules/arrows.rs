//! A crate depends only on crates below it, never on a sibling; see ARCHITECTURE.md. And every crate has our lints.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::build::cargo;
use crate::checkout::Checkout;
use crate::command;

/// Every crate and its layer. Higher ones may use lower ones.
const LAYERS: [(&str, u8); 19] = [
    // Nouns that several others need.
    ("coppice-clock", 0),
    ("coppice-clone-tree", 0),
    ("coppice-exver", 0),
    ("coppice-remove-tree", 0),
    ("coppice-wire", 0),
    ("patchdb-derive", 0),
    // What the container and the core both write.
    ("coppice-segments", 1),
    // The leaves: none knows another.
    ("coppice-agent", 2),
    ("coppice-containers", 2),
    ("coppice-heart", 2),
    ("coppice-net", 2),
    ("coppice-s9pk", 2),
    ("coppice-supervision", 2),
    ("patchdb", 2),
    ("coppice-actors", 3),
    ("coppice-api", 4),
    ("coppice", 5),
    ("coppice-e2e", 6),
    ("xtask", 6),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: std::path::PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null` for what the crate itself uses, `dev` for its tests.
    kind: Option<String>,
}

pub(super) fn check(checkout: &Checkout) -> Result<Vec<String>> {
    let metadata =
        command::output(cargo(checkout).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("`cargo metadata` printed something else")?;
    let mut found = against_the_layers(&metadata.packages);
    for package in &metadata.packages {
        let manifest = std::fs::read_to_string(&package.manifest_path)?;
        if !manifest.contains("[lints]\nworkspace = true") {
            found.push(format!(
                "{} does without our lints: add `[lints] workspace = true`",
                package.name
            ));
        }
    }
    Ok(found)
}

fn against_the_layers(packages: &[Package]) -> Vec<String> {
    let layers = BTreeMap::from(LAYERS);
    let mut found = Vec::new();
    for package in packages {
        let Some(layer) = layers.get(package.name.as_str()) else {
            found.push(format!(
                "{} has no layer: say which in {}",
                package.name,
                file!()
            ));
            continue;
        };
        for used in package
            .dependencies
            .iter()
            .filter(|used| used.kind.as_deref() != Some("dev"))
        {
            if layers
                .get(used.name.as_str())
                .is_some_and(|below| below >= layer)
            {
                found.push(format!(
                    "{} depends on {}, which is not below it",
                    package.name, used.name
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, used: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            name: name.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: used.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn a_crate_may_use_what_is_below_it_and_tests_may_use_more() {
        let fine = package(
            "coppice-net",
            &[
                ("coppice-clock", None),
                ("tokio", None),
                ("coppice-api", Some("dev")),
            ],
        );
        assert_eq!(against_the_layers(&[fine]), Vec::<String>::new());
    }

    #[test]
    fn a_sibling_a_higher_crate_and_an_unknown_one_are_named() {
        let found = against_the_layers(&[
            package(
                "coppice-net",
                &[("coppice-s9pk", None), ("coppice-api", Some("build"))],
            ),
            package("coppice-new", &[]),
        ]);
        assert_eq!(
            found[0],
            "coppice-net depends on coppice-s9pk, which is not below it"
        );
        assert_eq!(
            found[1],
            "coppice-net depends on coppice-api, which is not below it"
        );
        assert!(found[2].starts_with("coppice-new has no layer"));
    }
}
