//! What a start finds and removes, and says.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    console::run,
    processes,
    traces::firewall,
    until::{seconds, until},
    world::World,
};

pub(super) fn prepare(world: &mut World) {
    world.running("hello");
}

fn ip(words: &str) {
    run("ip", &words.split(' ').collect::<Vec<_>>());
}

fn starts(world: &World) -> Vec<Value> {
    let receipts = world.server.json(&["server", "receipts"]);
    let all = receipts.as_array().unwrap();
    all.iter()
        .filter(|one| one["of"] == "start")
        .cloned()
        .collect()
}

pub(super) fn a_start_after_a_kill_has_a_receipt_that_nothing_was_left(world: &mut World) {
    let before = starts(world).len();
    world.another_core();
    let after = starts(world);
    assert_eq!(after.len(), before + 1);
    assert_eq!(after[before]["found"], serde_json::json!([]), "{after:#?}");
    let said = world.server.cli(&["server", "receipts"]);
    assert!(said.trim_end().ends_with("nothing was left over"), "{said}");
}

/// One of each kind, made as a crash would leave it.
pub(super) fn leftovers_of_every_kind_are_found_removed_and_listed(world: &mut World) {
    let (short, data, run_folder) = (
        world.server.short.clone(),
        world.server.data.clone(),
        world.server.run_folder(),
    );
    let (bridge, table) = (format!("cop{short}"), format!("coppice_{short}"));
    // A container whose making was cut short, and layers and a cgroup of one whose end was.
    fs::create_dir(run_folder.join(format!("lxc/{short}-ghost"))).unwrap();
    fs::create_dir_all(data.join("services/wraith/root/upper")).unwrap();
    let groups: Vec<_> = processes::cgroups_named(|name| name == format!("coppice-{short}"))
        .into_iter()
        .map(|group| group.join("wraith"))
        .collect();
    groups
        .iter()
        .for_each(|group| fs::create_dir(group).unwrap());
    // A mount and a loop device that nobody uses.
    let stale = run_folder.join("mnt/stale");
    fs::create_dir_all(&stale).unwrap();
    run("mount", &["-t", "tmpfs", "stale", stale.to_str().unwrap()]);
    let image = data.join("store/stale-image");
    fs::write(&image, vec![0; 1 << 20]).unwrap();
    let device = run("losetup", &["--find", "--show", image.to_str().unwrap()]);
    let device = device.trim().to_owned();
    // A link without a container, something else on the bridge, and rules that nobody asked for.
    ip(&format!("link add v{short}zz type veth peer name away0"));
    ip(&format!("link set v{short}zz master {bridge}"));
    ip("link add stray0 type veth peer name stray1");
    ip(&format!("link set stray0 master {bridge}"));
    run(
        "nft",
        &[
            "add",
            "rule",
            "inet",
            &table,
            "published",
            "tcp",
            "dport",
            "4711",
            "drop",
        ],
    );
    run("nft", &["add", "chain", "inet", &table, "stray"]);

    world.another_core();
    let found = |kind: &str| -> BTreeSet<String> {
        let receipts = world.server.json(&["server", "receipts"]);
        let rows = receipts.as_array().unwrap().iter().rev().take(2);
        rows.flat_map(|row| row["found"].as_array().cloned().unwrap_or_default())
            .filter(|one| one["kind"] == kind && one["failure"].is_null())
            .map(|one| one["what"].as_str().unwrap().to_owned())
            .collect()
    };
    let has = |kind: &str, part: &str| {
        let what = found(kind);
        assert!(
            what.iter().any(|what| what.contains(part)),
            "{kind} {part}: {what:?}\n{}",
            world.server.cli(&["server", "receipts"])
        );
    };
    has("dead-container", "ghost");
    has("layer", "services/wraith/root");
    has("cgroup", "/wraith");
    has("mount", "mnt/stale");
    has("loop-device", &device);
    has("veth", &format!("v{short}zz"));
    has("bridge-port", "stray0");
    until("the firewall's receipt is there", seconds(20), || {
        let rules = found("firewall-rule");
        let all = ["4711", "chain stray"];
        all.iter()
            .all(|part| rules.iter().any(|rule| rule.contains(part)))
            .then_some(())
    });

    assert!(!run_folder.join(format!("lxc/{short}-ghost")).exists());
    // A service's own folder may hold what its owner needs, so it stays; here it is empty.
    assert!(!data.join("services/wraith/root").exists());
    fs::remove_dir(data.join("services/wraith")).unwrap();
    assert!(groups.iter().all(|group| !group.exists()));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("mnt/stale"), "{mounts}");
    let devices = run("losetup", &["--list", "--output", "BACK-FILE"]);
    assert!(!devices.contains("stale-image"), "{devices}");
    let links = run("ip", &["-o", "link"]);
    assert!(!links.contains(&format!("v{short}zz")), "{links}");
    // It may be somebody's, so it is still there, but not on the bridge.
    let stray = run("ip", &["-o", "link", "show", "stray0"]);
    assert!(!stray.contains(&bridge), "{stray}");
    ip("link del stray0");
    let rules = firewall(&world.server);
    assert!(
        !rules.contains("4711") && !rules.contains("stray"),
        "{rules}"
    );
    fs::remove_file(image).unwrap();
    world.healthy("hello");

    // And all of it in words.
    let said = world.server.cli(&["server", "receipts"]);
    assert!(
        said.contains("    bridge port stray0: taken off the bridge"),
        "{said}"
    );
    assert!(said.contains("things were left over"), "{said}");
}

pub(super) fn a_firewall_that_cannot_be_changed_is_a_notice_and_no_reason_to_end(
    world: &mut World,
) {
    let notices = |world: &World| {
        let at = "/public/serverInfo/notices";
        world.server.json(&["db", "dump", at])["value"].to_string()
    };
    let nft = run("sh", &["-c", "command -v nft"]);
    let nft = nft.trim();
    run("mount", &["--bind", "/bin/false", nft]);
    world.another_core();
    let core = world.server.child("core");
    let said = "Ports and rules between services are as they were";
    let shown = until("it is said", seconds(20), || {
        Some(notices(world)).filter(|shown| shown.contains(said))
    });
    // It is tried again and again by the same actor of the same core, and the rest works.
    world.server.cli(&["service", "restart", "hello"]);
    world.healthy("hello");
    let tree = world.server.cli(&["tree"]);
    let forwards = tree.lines().find(|line| line.contains("forwards")).unwrap();
    let still = notices(world);
    run("umount", &[nft]);
    assert!(!forwards.contains("restarted"), "{tree}");
    assert!(core.lives(), "{shown}");
    assert!(still.contains(said), "{still}");
    until("it is over", seconds(70), || {
        (!notices(world).contains(said)).then_some(())
    });
}
