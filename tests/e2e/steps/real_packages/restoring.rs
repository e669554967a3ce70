//! A package that is told `restore`. Coppice has no backups yet: `restoring.js` stands before the package's code and
//! plays the host's part, in the service's own container.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{GOOD, LEDGER, LEDGERS_CHECKS, WEATHERVANE, in_volume, reported, start, told};
use crate::{console::run, traces::Traces, world::World};

/// Packs the package anew with that code before its own, and with a backup, if there is one; installs it.
fn install_with(world: &World, id: &str, backup: Option<&Value>) {
    let folder = world.scratch.path("restoring").join(id);
    let examples = std::env::var_os("COPPICE_EXAMPLES").unwrap();
    let project = Path::new(&examples).join(format!("{id}-{GOOD}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    run(
        "cp",
        &["-r", project.to_str().unwrap(), folder.to_str().unwrap()],
    );
    let javascript = folder.join("javascript");
    fs::rename(javascript.join("index.js"), javascript.join("package.js")).unwrap();
    fs::write(javascript.join("index.js"), include_str!("restoring.js")).unwrap();
    if let Some(backup) = backup {
        fs::write(javascript.join("backup.json"), backup.to_string()).unwrap();
    }
    let (folder, file) = (folder.to_str().unwrap(), folder.join("package.s9pk"));
    let file = file.to_str().unwrap();
    let words = [
        "s9pk",
        "pack",
        "--arch",
        std::env::consts::ARCH,
        "--output",
        file,
        folder,
    ];
    world.server.cli(&words);
    world.server.cli(&["package", "install", file]);
}

pub(in super::super) fn a_backup_is_restored_by_an_init_of_that_kind(world: &mut World) {
    let files = [
        (LEDGER, "main/store.json"),
        (WEATHERVANE, "main/stations.yaml"),
    ];
    for (id, file) in files {
        world.server.cli(&["service", "stop", id]);
        world.wait_status(id, "stopped");
        install_with(world, id, None);
        let (before, backup) = (in_volume(world, id, file), told(world, id, "back-up"));
        world.server.cli(&["package", "uninstall", id]);
        let left = Traces::of(&world.server).naming(id);
        assert!(left.is_empty(), "{left:#?}");

        install_with(world, id, Some(&backup));
        assert_eq!(in_volume(world, id, file), before);
        assert_eq!(in_volume(world, id, ".version"), "2.0.0:0");
        // What is asked of who installs it is not asked of who has it back.
        assert_eq!(world.server.service(id).unwrap()["status"], "stopped");
        let tasks = world.server.json(&["task", "list", id]);
        assert_eq!(tasks, json!({}));
    }
    start(world, WEATHERVANE, &["station-oak", "station-ash"]);
    start(world, LEDGER, &LEDGERS_CHECKS);
    assert_eq!(reported(world, "Cents"), "1450");
    assert_eq!(reported(world, "Columns"), "id what cents tag");
}
