use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::model::{AddSsl, AddressInfo, ServiceInterface};

fn http() -> BindOptions {
    BindOptions {
        preferred_external_port: 80,
        add_ssl: Some(AddSsl {
            preferred_external_port: 443,
            add_x_forwarded_headers: true,
            alpn: None,
            upstream_cert_validation: None,
            auth: None,
        }),
        secure: None,
    }
}

fn options(secure: Option<Secure>, tls: bool, wanted: u16) -> BindOptions {
    BindOptions {
        preferred_external_port: wanted,
        add_ssl: tls.then(|| http().add_ssl).flatten(),
        secure,
    }
}

fn around() -> Surroundings {
    let gateway = |id: &str, address: [u8; 4], secure: bool, mdns: bool| Gateway {
        id: id.into(),
        addresses: vec![IpAddr::V4(Ipv4Addr::from(address))],
        secure,
        mdns,
    };
    Surroundings {
        gateways: vec![
            gateway("lo", [127, 0, 0, 1], true, false),
            gateway(BRIDGE_GATEWAY, [10, 0, 16, 1], true, false),
            gateway("eth0", [192, 168, 1, 5], false, true),
        ],
        server_name: "coppice.local".into(),
        service_name: "hello-coppice.local".into(),
        https_port: 443,
    }
}

/// On a machine where nobody else uses any port.
fn nobody(_: u16, _: Serves) -> Option<Holder> {
    None
}

fn bind_alone(host: &mut Host, options: BindOptions, pool: &mut PortPool) {
    bind_where(host, "hello", 8080, options, pool, &mut nobody).unwrap();
}

fn bound(options: BindOptions) -> (BTreeMap<String, Host>, PortPool) {
    let mut pool = PortPool::default();
    let mut host = Host::default();
    bind_alone(&mut host, options, &mut pool);
    (BTreeMap::from([("main".to_owned(), host)]), pool)
}

#[test]
fn ports_are_assigned_as_the_table_of_the_contract_says() {
    for (secure, tls, plain_given, tls_given) in [
        (None, false, true, false),
        (Some(Secure { ssl: false }), false, true, false),
        (None, true, true, true),
        (Some(Secure { ssl: false }), true, true, true),
        (Some(Secure { ssl: true }), false, true, false),
        (Some(Secure { ssl: true }), true, false, true),
    ] {
        let (hosts, _) = bound(options(secure, tls, 9000));
        let net = hosts["main"].bindings[&8080].net;
        assert_eq!(net.assigned_port.is_some(), plain_given, "{secure:?} {tls}");
        assert_eq!(
            net.assigned_ssl_port.is_some(),
            tls_given,
            "{secure:?} {tls}"
        );
    }
}

#[test]
fn a_free_port_above_1024_is_granted_and_a_taken_low_or_reserved_one_is_not() {
    let mut pool = PortPool::default();
    let mut take = |wanted, owner| {
        let given = pool.take(wanted, Serves::Anything, owner, &mut nobody);
        given.unwrap()
    };
    let as_wanted = Given {
        port: 8333,
        instead_of: None,
    };
    assert_eq!(take(8333, "bitcoind"), as_wanted);
    for unwanted in [8333, 80, 443, 22, 5432] {
        let given = take(unwanted, "other");
        assert!(DYNAMIC_PORTS.contains(&given.port), "{given:?}");
        let why = match unwanted {
            8333 => Holder::Service("bitcoind".into()),
            _ => Holder::Convention,
        };
        assert_eq!(given.instead_of, Some((unwanted, why)));
    }
}

#[test]
fn a_port_that_others_on_the_machine_use_is_not_given_wanted_or_not() {
    for holder in [Holder::Program, Holder::Server] {
        let mut host = Host::default();
        let mut pool = PortPool::default();
        let first = {
            let mut alone = PortPool::default();
            let mut busy = |port, _| (port == 22000).then_some(Holder::Program);
            let given = alone.take(22000, Serves::Anything, "syncthing", &mut busy);
            given.unwrap().port
        };
        let mut asked = Vec::new();
        let mut elsewhere = |port, serves| {
            asked.push((port, serves));
            [22000, first].contains(&port).then(|| holder.clone())
        };
        let own = options(Some(Secure { ssl: true }), false, 22000);
        let given = bind_where(
            &mut host,
            "syncthing",
            22000,
            own,
            &mut pool,
            &mut elsewhere,
        )
        .unwrap();
        let port = host.bindings[&22000].net.assigned_port.unwrap();
        assert!(DYNAMIC_PORTS.contains(&port) && port != first, "{port}");
        assert_eq!(pool.taken[&port], "syncthing");
        assert!(!pool.taken.contains_key(&22000));
        assert_eq!(given[0].instead_of, Some((22000, holder)));
        assert_eq!(asked[0], (22000, Serves::Anything));
    }
}

#[test]
fn only_tcp_is_asked_of_a_port_for_tls() {
    let mut asked = Vec::new();
    let mut elsewhere = |port, serves| {
        asked.push((port, serves));
        None
    };
    let own = BindOptions {
        add_ssl: Some(AddSsl {
            preferred_external_port: 9443,
            ..http().add_ssl.unwrap()
        }),
        ..options(None, false, 9000)
    };
    let mut pool = PortPool::default();
    bind_where(
        &mut Host::default(),
        "a",
        80,
        own,
        &mut pool,
        &mut elsewhere,
    )
    .unwrap();
    assert_eq!(asked, [(9000, Serves::Anything), (9443, Serves::Tls)]);
}

#[test]
fn a_port_that_is_assigned_is_kept_whoever_uses_it_meanwhile() {
    let (mut hosts, mut pool) = bound(options(None, true, 9000));
    let host = hosts.get_mut("main").unwrap();
    let before = host.bindings[&8080].net;
    let again = options(None, true, 9000);
    let mut everybody = |_, _| Some(Holder::Program);
    let given = bind_where(host, "hello", 8080, again, &mut pool, &mut everybody).unwrap();
    assert_eq!(given, []);
    assert_eq!(host.bindings[&8080].net, before);
}

#[test]
fn a_program_that_listens_keeps_its_port() {
    let program = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = program.local_addr().unwrap().port();
    let mut host = Host::default();
    let own = options(Some(Secure { ssl: true }), false, port);
    bind(&mut host, "syncthing", 22000, own, &mut PortPool::default()).unwrap();
    assert_ne!(host.bindings[&22000].net.assigned_port, Some(port));
}

#[test]
fn a_binding_keeps_its_ports_when_it_is_declared_again() {
    let (mut hosts, mut pool) = bound(http());
    let before = hosts["main"].bindings[&8080].net;
    let host = hosts.get_mut("main").unwrap();
    host.bindings.get_mut(&8080).unwrap().enabled = false;
    bind_alone(host, http(), &mut pool);
    assert_eq!(host.bindings[&8080].net, before);
    assert!(host.bindings[&8080].enabled);
}

#[test]
fn a_port_that_is_no_longer_needed_is_freed() {
    let (mut hosts, mut pool) = bound(options(None, true, 9000));
    let host = hosts.get_mut("main").unwrap();
    bind_alone(
        host,
        options(Some(Secure { ssl: true }), true, 9000),
        &mut pool,
    );
    assert_eq!(host.bindings[&8080].net.assigned_port, None);
    assert!(!pool.taken.contains_key(&9000));
}

#[test]
fn an_http_binding_has_plain_and_tls_entries_on_the_bridge_and_loopback_and_a_tls_local_name() {
    let (mut hosts, _) = bound(http());
    refresh_addresses(&mut hosts, &around());
    let list = &hosts["main"].bindings[&8080].addresses.available;
    let has = |host: &str, ssl: bool| {
        list.iter()
            .any(|one| one.hostname == host && one.ssl == ssl)
    };
    assert!(has("10.0.16.1", false) && has("10.0.16.1", true));
    assert!(has("127.0.0.1", false) && has("127.0.0.1", true));
    assert!(has("coppice.local", true) && !has("coppice.local", false));
    assert!(has("192.168.1.5", true));
    assert!(
        !has("192.168.1.5", false),
        "plain HTTP must not be offered on the LAN"
    );
    assert!(list.iter().any(|one| one.metadata
        == HostnameMetadata::Ipv4 {
            gateway: "lxcbr0".into()
        }));
}

#[test]
fn the_first_ui_interface_behind_tls_gets_the_name_of_the_service() {
    let (mut hosts, _) = bound(http());
    let interface = ServiceInterface {
        id: "ui".into(),
        name: "Web".into(),
        description: String::new(),
        masked: false,
        address_info: AddressInfo {
            username: None,
            host_id: "main".into(),
            internal_port: 8080,
            scheme: Some("http".into()),
            ssl_scheme: Some("https".into()),
            suffix: String::new(),
        },
        kind: InterfaceType::Ui,
    };
    let bindings = &mut hosts.get_mut("main").unwrap().bindings;
    bindings
        .get_mut(&8080)
        .unwrap()
        .interfaces
        .insert("ui".into(), interface);
    refresh_addresses(&mut hosts, &around());
    let first = &hosts["main"].bindings[&8080].addresses.available[0];
    assert_eq!(
        (first.hostname.as_str(), first.port),
        ("hello-coppice.local", Some(443))
    );
}

#[test]
fn a_disabled_binding_has_no_addresses_but_those_that_plugins_added() {
    let (mut hosts, _) = bound(http());
    let bound = hosts
        .get_mut("main")
        .unwrap()
        .bindings
        .get_mut(&8080)
        .unwrap();
    bound.enabled = false;
    bound.addresses.available.push(HostnameInfo {
        ssl: false,
        public: true,
        hostname: "abc.onion".into(),
        port: Some(80),
        metadata: HostnameMetadata::Plugin {
            package_id: "tor".into(),
            remove_action: None,
            overflow_actions: vec![],
            info: serde_json::Value::Null,
        },
    });
    refresh_addresses(&mut hosts, &around());
    let list = &hosts["main"].bindings[&8080].addresses.available;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].hostname, "abc.onion");
}

proptest! {
    #[test]
    fn no_port_is_ever_given_twice(wanted in prop::collection::vec(any::<u16>(), 1..64)) {
        let mut pool = PortPool::default();
        let mut given = Vec::new();
        for (index, port) in wanted.iter().enumerate() {
            let owner = format!("service{}", index % 3);
            let one = pool.take(*port, Serves::Anything, &owner, &mut nobody);
            given.push(one.unwrap().port);
        }
        let mut unique = given.clone();
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), given.len());
        prop_assert!(given.iter().all(|port| *port > 1024 && !RESERVED_PORTS.contains(port)));
    }
}
