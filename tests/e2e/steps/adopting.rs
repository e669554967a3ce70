//! A core that dies among many services finds them all again.

use coppice_clock::Mono;

use crate::{
    adoption::is_adopted,
    clones::renamed,
    processes::Process,
    until::{patiently, seconds},
    world::World,
};
use std::{fs, time::Duration};

/// As many as fit into a test; `make bench` has twenty.
const SERVICES: [&str; 4] = ["oak", "elm", "yew", "fir"];

pub(super) fn prepare(world: &mut World) {
    world.up();
    let folder = world.scratch.path("adopting");
    fs::create_dir_all(&folder).unwrap();
    for id in SERVICES {
        if world.is_installed(id) {
            continue;
        }
        let file = folder.join(format!("{id}.s9pk"));
        fs::write(&file, renamed(&World::example("hello"), id)).unwrap();
        world
            .server
            .cli(&["package", "install", file.to_str().unwrap()]);
        world.server.cli(&["service", "start", id]);
    }
    for id in SERVICES {
        world.healthy(id);
    }
}

pub(super) fn a_new_core_knows_every_process_of_every_service_again(world: &mut World) {
    let lasting = |world: &World| -> Vec<Process> {
        let of = |id| world.server.processes(id).into_iter();
        SERVICES.into_iter().flat_map(of).collect()
    };
    let before = lasting(world);
    let restarts: Vec<_> = SERVICES.map(|id| world.server.last_restart(id)).into();
    world.server.child("core").shoot();
    let shot = Mono::now();
    let adopted = patiently(seconds(15), Duration::from_millis(20), || {
        let tree = world.server.json(&["tree"]);
        SERVICES
            .iter()
            .all(|id| is_adopted(&tree, id))
            .then_some(())
    });
    assert!(adopted.is_some(), "{}", world.server.cli(&["tree"]));
    println!(
        "     {} services adopted after {} ms",
        SERVICES.len(),
        Mono::now().since(shot).as_millis()
    );
    let dead: Vec<_> = before.iter().filter(|process| !process.lives()).collect();
    assert!(
        dead.iter().all(|process| process.name == "start-container"),
        "{dead:#?}"
    );
    for id in SERVICES {
        world.healthy(id);
    }
    let after: Vec<_> = SERVICES.map(|id| world.server.last_restart(id)).into();
    assert_eq!(after, restarts);
    for id in SERVICES {
        world.server.cli(&["package", "uninstall", id]);
    }
}
