//! What is the same in every package that tests make by code.
//!
//! The crate `coppice-api`, the end-to-end tests and the benches have this file by its path.

use serde_json::{Value, json};

/// A manifest with one image and one volume, which any version may be updated to and from.
pub(crate) fn manifest(id: &str, version: &str) -> Value {
    let arch = std::env::consts::ARCH;
    json!({
        "id": id,
        "version": version,
        "canMigrateTo": "*",
        "canMigrateFrom": "*",
        "title": "Seedling",
        "description": { "short": "Small", "long": "Small and young" },
        "releaseNotes": "Sown.",
        "license": "MIT",
        "upstreamRepo": "https://example.com/seedling",
        "images": { "main": { "source": "packed", "arch": [arch], "emulateMissingAs": null } },
        "volumes": ["main"],
        "hardwareRequirements": { "device": [], "ram": null, "arch": [arch] },
    })
}

/// Its files, but for those that hold file systems.
pub(crate) fn files() -> [(String, &'static str); 5] {
    let of_image = |kind: &str| format!("images/{}/main.{kind}", std::env::consts::ARCH);
    [
        (
            "icon.svg".to_owned(),
            "<svg xmlns='http://www.w3.org/2000/svg'/>",
        ),
        ("LICENSE.md".to_owned(), "MIT"),
        ("instructions.md".to_owned(), "Water it."),
        (of_image("json"), "{}"),
        (of_image("env"), ""),
    ]
}
