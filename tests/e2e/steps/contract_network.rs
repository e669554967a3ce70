//! The contract with packages: bindings, ranges, interfaces, certificates, plugins (`service-abi.md` §10.3,
//! 52 to 61).

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    console::run,
    lan::at_neighbours,
    probe::{Probe, ask, entry, refused},
    until::{seconds, until},
    world::World,
};

const NET: &str = "net";
/// Depends on nothing; a plugin for addresses.
const ONION: &str = "onion";

/// A web page behind Coppice's TLS, as the SDK's table has it for `http`, with what the host must ignore.
const HTTP: &str = "{ id: 'main', internalPort: 8000, preferredExternalPort: 80, secure: null, stack: 'tcp', addSsl: {
  preferredExternalPort: 443, scheme: 'https', addXForwardedHeaders: true, alpn: { specified: ['http/1.1'] }, auth: null } }";

/// Serves its peer's question on a port of the container.
const SERVE: &str = "
seen.servers ??= [];
const listen = port => new Promise(resolve => seen.servers.push(
  require('http').createServer((asked, answer) => answer.end(`port ${port}`)).listen(port, '0.0.0.0', resolve)));
";

pub(super) fn prepare(world: &mut World) {
    world.up();
    Probe::called(NET).install(world);
    Probe::called(ONION)
        .manifest("plugins", json!(["url-v0"]))
        .install(world);
}

fn interface(id: &str, host: &str, port: u16) -> String {
    format!(
        "effects.exportServiceInterface({{
           id: '{id}', name: 'N', description: '', masked: false, type: 'api',
           addressInfo: {{ username: null, hostId: '{host}', internalPort: {port}, scheme: 'http', sslScheme: 'https', suffix: '' }},
         }})"
    )
}

fn bind(world: &World, options: &str) {
    ask(world, NET, &format!("await effects.bind({options})"));
}

fn host(world: &World, id: &str) -> Value {
    entry(world, NET)["hosts"][id].clone()
}

pub(super) fn an_interface_needs_its_binding_and_a_binding_takes_fields_it_does_not_know(
    world: &mut World,
) {
    let (code, said) = refused(world, NET, &interface("ui", "main", 8000));
    assert!(code == 6 && said.contains("bind it first"), "{code} {said}");
    bind(world, HTTP);
    ask(
        world,
        NET,
        &format!("await {}", interface("ui", "main", 8000)),
    );
    let forward = ask(
        world,
        NET,
        "return effects.getServicePortForward({ hostId: 'main', internalPort: 8000 })",
    );
    assert_eq!(forward, host(world, "main")["bindings"]["8000"]["net"]);
    assert!(
        forward["assignedPort"].is_u64() && forward["assignedSslPort"].is_u64(),
        "{forward}"
    );
    let (code, _) = refused(
        world,
        NET,
        "effects.getServicePortForward({ hostId: 'main', internalPort: 1 })",
    );
    assert_eq!(code, 6);
}

pub(super) fn a_binding_tells_the_addresses_that_packages_look_for(world: &mut World) {
    let told = ask(
        world,
        NET,
        "const { bindings } = await effects.getHostInfo({ hostId: 'main' });
         const { available, guaWan } = bindings['8000'].addresses;
         const of = gateway => available.filter(one => one.metadata.gateway === gateway).map(one => [one.hostname, one.ssl]).sort();
         return { bridge: of('lxcbr0'), loopback: of('lo'), os: await effects.getOsIp(), guaWan,
                  local: available.some(one => one.ssl && one.hostname.endsWith('.local') && one.metadata.kind === 'mdns') }",
    );
    let os = told["os"].as_str().unwrap();
    assert_eq!(told["bridge"], json!([[os, false], [os, true]]), "{told:#}");
    assert_eq!(
        told["loopback"],
        json!([["127.0.0.1", false], ["127.0.0.1", true]]),
        "{told:#}"
    );
    assert_eq!(told["local"], true, "{told:#}");
    assert_eq!(told["guaWan"], json!([]), "{told:#}");
}

pub(super) fn cleared_bindings_are_off_and_come_back_on_their_ports(world: &mut World) {
    let before = host(world, "main")["bindings"]["8000"].clone();
    ask(
        world,
        NET,
        "await effects.clearBindings({ except: [{ id: 'main', internalPort: 1 }] })",
    );
    let off = host(world, "main")["bindings"]["8000"].clone();
    assert_eq!(
        (&off["enabled"], &off["net"]),
        (&json!(false), &before["net"])
    );
    assert_eq!(off["addresses"]["available"], json!([]));
    bind(world, HTTP);
    assert_eq!(host(world, "main")["bindings"]["8000"], before);
    ask(
        world,
        NET,
        "await effects.clearServiceInterfaces({ except: ['other'] })",
    );
    assert_eq!(
        host(world, "main")["bindings"]["8000"]["interfaces"],
        json!({})
    );
    ask(
        world,
        NET,
        &format!("await {}", interface("ui", "main", 8000)),
    );
}

fn range(internal: u16, external: u16, count: u16) -> String {
    format!(
        "effects.bindRange({{ id: 'turn', internalStartPort: {internal}, externalStartPort: {external}, numberOfPorts: {count} }})"
    )
}

pub(super) fn a_range_is_had_whole_or_not_at_all(world: &mut World) {
    let taken = host(world, "main")["bindings"]["8000"]["net"]["assignedPort"]
        .as_u64()
        .unwrap();
    let taken = u16::try_from(taken).unwrap();
    let ports = || {
        world
            .server
            .json(&["db", "dump", "/public/packageData/net/hosts"])["value"]
            .clone()
    };
    let before = ports();
    for (count, start) in [(1, 40_000), (501, 40_000), (10, taken - 5), (10, 1020)] {
        let (code, said) = refused(world, NET, &range(3000, start, count));
        assert_eq!(code, 38, "{said}");
    }
    assert_eq!(ports(), before, "nothing was allocated");
    ask(world, NET, &format!("await {}", range(3000, 40_000, 10)));
    let first = ports();
    ask(world, NET, &format!("await {}", range(3000, 40_000, 10)));
    assert_eq!(ports(), first);
    let bound = &first["turn"]["bindingRanges"]["3000"];
    assert_eq!(
        (&bound["externalStartPort"], &bound["numberOfPorts"]),
        (&json!(40_000), &json!(10))
    );
    let (code, _) = refused(
        world,
        NET,
        "effects.exportRangeServiceInterface({ hostId: 'turn', internalStartPort: 1, id: 'r', name: '', description: '', scheme: null })",
    );
    assert_eq!(code, 6);
}

pub(super) fn a_range_leads_other_machines_to_its_ports_once_it_has_an_interface(
    world: &mut World,
) {
    ask(
        world,
        NET,
        &format!("{SERVE} for (const port of [3000, 3009]) await listen(port);"),
    );
    let reaches = |port: u16, wanted: &str| {
        at_neighbours(|| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-m", "2"])
                .arg(format!("http://{}:{port}/", crate::lan::SERVER));
            curl.output().unwrap().stdout == wanted.as_bytes()
        })
    };
    assert!(!reaches(40_009, "port 3009"), "it has no interface yet");
    ask(
        world,
        NET,
        "await effects.exportRangeServiceInterface({
           hostId: 'turn', internalStartPort: 3000, id: 'relay', name: 'Relay', description: '', scheme: null })",
    );
    until("the last port leads there", seconds(10), || {
        reaches(40_009, "port 3009").then_some(())
    });
    assert!(reaches(40_000, "port 3000"));
    ask(
        world,
        NET,
        "await effects.clearBindings({ except: [{ id: 'main', internalPort: 8000 }] })",
    );
    until("it is closed again", seconds(10), || {
        (!reaches(40_009, "port 3009")).then_some(())
    });
}

pub(super) fn a_certificate_is_a_chain_of_three_and_its_key_is_for_its_owner(world: &mut World) {
    let told = ask(
        world,
        NET,
        "const { X509Certificate, createPrivateKey } = require('crypto');
         const hostnames = ['net.startos', await effects.getContainerIp({}), '127.0.0.1', await effects.getOsIp()];
         const results = [];
         for (const algorithm of [undefined, 'ecdsa', 'ed25519']) {
           const chain = await effects.getSslCertificate({ hostnames, algorithm, callback: () => note('renewed', null) });
           const key = await effects.getSslKey({ hostnames: [...hostnames].reverse(), algorithm });
           const [leaf, middle, root] = chain.map(pem => new X509Certificate(pem));
           results.push([
             chain.length, leaf.checkPrivateKey(createPrivateKey(key)), leaf.verify(middle.publicKey) && middle.verify(root.publicKey),
             leaf.checkHost('net.startos') === 'net.startos' && leaf.checkIP('127.0.0.1') === '127.0.0.1',
             createPrivateKey(key).asymmetricKeyType, chain.join('') === (await effects.getSslCertificate({ hostnames, algorithm })).join(''),
           ]);
         }
         seen.root = (await effects.getSslCertificate({ hostnames }))[2];
         return results",
    );
    let row = |kind: &str| json!([3, true, true, true, kind, true]);
    assert_eq!(told, json!([row("ec"), row("ec"), row("ed25519")]));
    let root = ask(world, NET, "return seen.root");
    assert_eq!(
        root.as_str().unwrap().trim(),
        fs::read_to_string(world.ca()).unwrap().trim()
    );
    for names in [
        "['example.com']",
        "['never-was.startos']",
        "['net.startos', '8.8.8.8']",
    ] {
        let (code, said) = refused(
            world,
            NET,
            &format!("effects.getSslCertificate({{ hostnames: {names} }})"),
        );
        assert_eq!(code, 6, "{names}: {said}");
    }
    ask(
        world,
        NET,
        "await effects.getSslCertificate({ hostnames: ['onion.startos'] })",
    );
    let (code, said) = refused(
        world,
        NET,
        "effects.getSslKey({ hostnames: ['onion.startos'] })",
    );
    assert!(
        code == 6 && said.contains("onion.startos"),
        "a neighbour's key: {said}"
    );
    let (code, _) = refused(world, NET, "effects.getSslCertificate({ hostnames: [] })");
    assert_eq!(code, 38);
}

fn url(hostname: &str, port: u16) -> String {
    format!(
        "{{ packageId: '{NET}', hostId: 'main', internalPort: {port}, ssl: false, public: true, hostname: '{hostname}', port: 80, info: {{ a: 1 }} }}"
    )
}

fn export_url(hostname: &str, port: u16) -> String {
    format!(
        "effects.plugin.url.exportUrl({{ hostnameInfo: {}, removeAction: 'remove', overflowActions: [] }})",
        url(hostname, port)
    )
}

/// The names that plugins gave the binding.
fn plugged(world: &World) -> Vec<String> {
    let shown = host(world, "main");
    let available = shown["bindings"]["8000"]["addresses"]["available"]
        .as_array()
        .unwrap()
        .clone();
    let names = available
        .iter()
        .filter(|one| one["metadata"]["kind"] == "plugin");
    names
        .map(|one| one["hostname"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn only_a_plugin_gives_addresses_and_only_to_what_is_bound(world: &mut World) {
    for effect in [
        "effects.plugin.url.register({ tableAction: 'add' })".to_owned(),
        export_url("a.onion", 8000),
        "effects.plugin.url.clearUrls({ except: [] })".to_owned(),
    ] {
        let (code, said) = refused(world, NET, &effect);
        assert!(code == 38 && said.contains("url-v0"), "{code} {said}");
    }
    ask(
        world,
        ONION,
        "await effects.plugin.url.register({ tableAction: 'add' })",
    );
    assert_eq!(entry(world, ONION)["plugin"]["url"]["tableAction"], "add");
    let (code, _) = refused(world, ONION, &export_url("a.onion", 1));
    assert_eq!(code, 6);
    let (code, _) = refused(world, ONION, &export_url("http://a.onion/", 8000));
    assert_eq!(code, 38);
    let of_nobody = export_url("a.onion", 8000).replace(&format!("'{NET}'"), "null");
    let (code, said) = refused(world, ONION, &of_nobody);
    assert!(
        code == 6 && said.contains("the server's own pages"),
        "{code} {said}"
    );
    let twice = export_url("a.onion", 8000);
    ask(
        world,
        ONION,
        &format!(
            "await {twice}; await {twice}; await {}",
            export_url("b.onion", 8000)
        ),
    );
    assert_eq!(plugged(world), ["a.onion", "b.onion"]);
    let kept = host(world, "main")["bindings"]["8000"]["addresses"]["available"].clone();
    let of_plugin = kept
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["hostname"] == "a.onion")
        .unwrap()
        .clone();
    assert_eq!(
        of_plugin["metadata"],
        json!({ "kind": "plugin", "packageId": ONION, "removeAction": "remove", "overflowActions": [], "info": { "a": 1 } })
    );
    ask(
        world,
        ONION,
        &format!(
            "await effects.plugin.url.clearUrls({{ except: [{}] }})",
            url("b.onion", 8000)
        ),
    );
    assert_eq!(plugged(world), ["b.onion"]);
}

/// Whether one service reaches a port of another's container.
fn reaches(world: &World, from: &str, port: u16) -> bool {
    let address = world.server.address(NET);
    ask(
        world,
        from,
        &format!(
            "return fetch('http://{address}:{port}/', {{ signal: AbortSignal.timeout(1500) }}).then(() => true, () => false)"
        ),
    ) == true
}

pub(super) fn a_plugin_reaches_the_ports_it_gave_addresses_to_and_no_others(world: &mut World) {
    ask(
        world,
        NET,
        &format!("{SERVE} for (const port of [8000, 8001]) await listen(port);"),
    );
    until("the plugin reaches the port", seconds(10), || {
        reaches(world, ONION, 8000).then_some(())
    });
    assert!(!reaches(world, ONION, 8001));
}

/// Another cable, with an address and the default route; unplugged with this.
struct OtherWay;

impl OtherWay {
    fn out() -> Self {
        let way = Self;
        for words in [
            "link add lan1 type veth peer name lan2",
            "addr add 192.168.78.1/24 dev lan1",
            "link set lan2 up",
            "link set lan1 up",
            "route replace default dev lan1",
        ] {
            run("ip", &words.split(' ').collect::<Vec<_>>());
        }
        way
    }
}

impl Drop for OtherWay {
    fn drop(&mut self) {
        for words in ["route replace default via 192.168.77.2", "link del lan1"] {
            // What was not made cannot be taken away either.
            let _ = Command::new("ip").args(words.split(' ')).output();
        }
    }
}

pub(super) fn a_plugins_address_survives_a_change_of_gateways_and_goes_with_the_plugin(
    world: &mut World,
) {
    let gateways = |world: &World| {
        let shown = host(world, "main")["bindings"]["8000"]["addresses"]["available"].clone();
        let all = shown.as_array().unwrap().iter();
        all.filter(|one| one["hostname"] == "192.168.78.1").count()
    };
    ask(
        world,
        NET,
        "seen.effects.getOutboundGateway({ callback: () => note('way', null) })",
    );
    assert_eq!(
        ask(world, NET, "return effects.getOutboundGateway({})"),
        "lan0"
    );
    let way = OtherWay::out();
    // The machine's addresses are looked at every half minute.
    until("the new address is told", seconds(60), || {
        (gateways(world) > 0).then_some(())
    });
    assert_eq!(plugged(world), ["b.onion"]);
    assert_eq!(
        ask(world, NET, "return effects.getOutboundGateway({})"),
        "lan1"
    );
    until("who watched the way out was told", seconds(10), || {
        (ask(world, NET, "return (seen.way ?? []).length") == 1).then_some(())
    });
    drop(way);
    world.server.cli(&["package", "uninstall", ONION]);
    assert!(plugged(world).is_empty());
    world.server.cli(&["package", "uninstall", NET]);
    let ports = world.server.json(&["db", "dump", "/public/packageData"])["value"].clone();
    assert!(ports.get(NET).is_none());
}
