//! The contract with packages: one-shot callbacks (`service-abi.md` §10.3, 18 to 24), each against a
//! real change of another service.

use serde_json::{Value, json};

use crate::{
    probe::{Probe, ask},
    until::{seconds, until},
    world::World,
};

const WATCHER: &str = "watcher";
const WATCHED: &str = "watched";

/// Binds a port and exports an interface on it, as an `init` does.
const BIND: &str = "
await effects.bind({ id: 'main', internalPort: 80, preferredExternalPort: 80, addSsl: null, secure: null });
await effects.exportServiceInterface({
  id: 'ui', name: 'Page', description: '', masked: false, type: 'ui',
  addressInfo: { username: null, hostId: 'main', internalPort: 80, scheme: 'http', sslScheme: null, suffix: '' },
});
";

pub(super) fn prepare(world: &mut World) {
    world.up();
    Probe::called(WATCHER).install(world);
}

fn appear(world: &World) {
    Probe::called(WATCHED).init(BIND).install(world);
}

/// Has the watcher read something and note under `name` when the callback comes; gives what was read.
fn watch(world: &World, name: &str, effect: &str, params: &str) -> Value {
    ask(
        world,
        WATCHER,
        &format!(
            "return seen.effects.{effect}({{ {params}, callback: () => note('{name}', null) }})"
        ),
    )
}

fn fired(world: &World, name: &str) -> u64 {
    ask(
        world,
        WATCHER,
        &format!("return (seen['{name}'] ?? []).length"),
    )
    .as_u64()
    .unwrap()
}

fn fires(world: &World, name: &str, times: u64) {
    until(
        &format!("`{name}` fired {times} times"),
        seconds(10),
        || (fired(world, name) == times).then_some(()),
    );
}

pub(super) fn what_is_read_of_a_package_that_is_not_there_is_null_and_fires_when_it_appears(
    world: &mut World,
) {
    let of = format!("packageId: '{WATCHED}'");
    let reads = [
        ("host", "getHostInfo", "hostId: 'main'"),
        (
            "interface",
            "getServiceInterface",
            "serviceInterfaceId: 'ui'",
        ),
        ("interfaces", "listServiceInterfaces", "a: 1"),
        ("status", "getStatus", "a: 1"),
        ("manifest", "getServiceManifest", "a: 1"),
        ("ip", "getContainerIp", "a: 1"),
    ];
    for (name, effect, params) in reads {
        let read = watch(world, name, effect, &format!("{of}, {params}"));
        let nothing = if name == "interfaces" {
            json!({})
        } else {
            Value::Null
        };
        assert_eq!(read, nothing, "{effect}");
    }
    appear(world);
    for (name, ..) in reads {
        fires(world, name, 1);
    }
    let of = format!("{{ packageId: '{WATCHED}', hostId: 'main', serviceInterfaceId: 'ui' }}");
    let there = ask(
        world,
        WATCHER,
        &format!(
            "const of = {of};
             return [
               (await effects.getHostInfo(of)).bindings['80'].enabled, (await effects.getServiceInterface(of)).id,
               Object.keys(await effects.listServiceInterfaces(of)), (await effects.getServiceManifest(of)).id,
               (await effects.getStatus(of)).desired.main, /^[0-9.]+$/.test(await effects.getContainerIp(of)),
               (await effects.getInstalledPackages()).includes(of.packageId),
             ]"
        ),
    );
    assert_eq!(
        there,
        json!([true, "ui", ["ui"], WATCHED, "stopped", true, true])
    );
}

pub(super) fn a_callback_fires_once_and_after_the_next_reading_once_more(world: &mut World) {
    let params = format!("packageId: '{WATCHED}'");
    let rename = |name: &str| {
        let code = BIND.replace("'Page'", &format!("'{name}'"));
        ask(world, WATCHED, &code);
    };
    watch(world, "once", "listServiceInterfaces", &params);
    rename("First");
    fires(world, "once", 1);
    rename("Second");
    let read = watch(world, "once", "listServiceInterfaces", &params);
    assert_eq!(read["ui"]["name"], "Second");
    assert_eq!(fired(world, "once"), 1, "nobody had asked again");
    rename("Third");
    fires(world, "once", 2);
}

pub(super) fn what_changes_elsewhere_or_not_at_all_fires_nothing(world: &mut World) {
    let of = format!("packageId: '{WATCHED}', hostId: 'main', serviceInterfaceId: 'ui'");
    for effect in ["getHostInfo", "getServiceInterface", "getServiceManifest"] {
        watch(world, "quiet", effect, &of);
    }
    // The same again, another host, an action, a health check, a status: nothing of it is watched.
    let same = BIND.replace("'Page'", "'Third'");
    ask(
        world,
        WATCHED,
        &format!(
            "{same}
             await effects.bind({{ id: 'other', internalPort: 81, preferredExternalPort: 81, addSsl: null, secure: null }});
             await effects.action.export({{ id: 'x', metadata: described('X') }});
             await effects.setHealth({{ id: 'h', name: 'H', result: 'success', message: null }});"
        ),
    );
    world.server.cli(&["service", "start", WATCHED]);
    world.wait_status(WATCHED, "running");
    // A change that is watched, told after all of those: what they fire would have come before it.
    watch(
        world,
        "marker",
        "getStatus",
        &format!("packageId: '{WATCHED}'"),
    );
    world.server.cli(&["service", "stop", WATCHED]);
    fires(world, "marker", 1);
    assert_eq!(fired(world, "quiet"), 0);
}

pub(super) fn cleared_callbacks_do_not_fire(world: &mut World) {
    let of = format!("packageId: '{WATCHED}'");
    // The runtime clears the callbacks of a context that is left: one that is replaced by its like.
    ask(
        world,
        WATCHER,
        &format!(
            "const first = seen.effects.child('a');
             await first.getStatus({{ {of}, callback: () => note('left', null) }});
             await seen.effects.child('b').getStatus({{ {of}, callback: () => note('kept', null) }});
             seen.effects.child('a')"
        ),
    );
    world.server.cli(&["service", "start", WATCHED]);
    fires(world, "kept", 1);
    assert_eq!(fired(world, "left"), 0);
}

pub(super) fn another_packages_address_fires_when_its_container_is_made_anew(world: &mut World) {
    world.wait_status(WATCHED, "running");
    let before = watch(
        world,
        "anew",
        "getContainerIp",
        &format!("packageId: '{WATCHED}'"),
    );
    assert!(before.is_string());
    world.server.init(WATCHED).shoot();
    fires(world, "anew", 1);
    world.wait_status(WATCHED, "running");
    let after = ask(
        world,
        WATCHER,
        &format!("return effects.getContainerIp({{ packageId: '{WATCHED}' }})"),
    );
    assert_eq!(after, before, "a service keeps its address");
}

pub(super) fn a_change_between_the_reading_and_its_answer_is_not_lost(world: &mut World) {
    // Both go on without a pause: whoever reads sees the newest or is called.
    ask(
        world,
        WATCHER,
        &format!(
            "seen.last = null;
             const read = async () => {{
               const interfaces = await seen.effects.listServiceInterfaces({{
                 packageId: '{WATCHED}', callback: () => {{ void read(); }},
               }});
               seen.last = interfaces.ui?.name ?? null;
             }};
             await read();"
        ),
    );
    ask(
        world,
        WATCHED,
        &format!(
            "for (let i = 0; i < 100; i += 1) {{ {} }}",
            BIND.replace("'Page'", "`Page ${i}`")
        ),
    );
    until("the last name was read", seconds(10), || {
        (ask(world, WATCHER, "return seen.last") == "Page 99").then_some(())
    });
}

pub(super) fn a_package_that_goes_fires_once_more(world: &mut World) {
    watch(
        world,
        "gone",
        "getServiceManifest",
        &format!("packageId: '{WATCHED}'"),
    );
    watch(
        world,
        "hosts gone",
        "getHostInfo",
        &format!("packageId: '{WATCHED}', hostId: 'main'"),
    );
    world.server.cli(&["package", "uninstall", WATCHED]);
    until("both fired", seconds(10), || {
        (fired(world, "gone") >= 1 && fired(world, "hosts gone") == 1).then_some(())
    });
    let read = ask(
        world,
        WATCHER,
        &format!("return effects.getHostInfo({{ packageId: '{WATCHED}', hostId: 'main' }})"),
    );
    assert_eq!(read, Value::Null);
    world.server.cli(&["package", "uninstall", WATCHER]);
}
