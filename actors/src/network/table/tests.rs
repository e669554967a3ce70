use std::collections::BTreeMap;

use coppice_net::{subnet::Subnet, table::KeyPem};
use proptest::prelude::*;

use super::*;
use crate::model::{
    AddSsl, AddressInfo, Addresses, BindNet, BindOptions, Host, InterfaceType, Secure,
    ServiceInterface, StateInfo,
};

const HTTPS: u16 = 8443;

fn network(hostname: &str) -> Network {
    let listening = Listening {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        http: 8080,
        https: HTTPS,
        dns: 5300,
    };
    let subnet = Subnet::choose("test", &[]).unwrap();
    Network::new(subnet, "coptest".into(), hostname.into(), listening)
}

/// A service with a page behind our TLS, on a TLS port of its own.
fn service(id: &str, tls_port: u16) -> Service {
    let interface = ServiceInterface {
        id: "ui".into(),
        name: "Web".into(),
        description: String::new(),
        masked: false,
        address_info: AddressInfo {
            username: None,
            host_id: "main".into(),
            internal_port: 80,
            scheme: Some("http".into()),
            ssl_scheme: Some("https".into()),
            suffix: String::new(),
        },
        kind: InterfaceType::Ui,
    };
    let bound = BindInfo {
        enabled: true,
        options: BindOptions {
            preferred_external_port: 80,
            add_ssl: Some(AddSsl {
                preferred_external_port: tls_port,
                add_x_forwarded_headers: false,
                alpn: None,
                upstream_cert_validation: None,
                auth: None,
            }),
            secure: None,
        },
        net: BindNet {
            assigned_ssl_port: Some(tls_port),
            ..BindNet::default()
        },
        addresses: Addresses::default(),
        interfaces: BTreeMap::from([("ui".to_owned(), interface)]),
    };
    let host = Host {
        bindings: BTreeMap::from([(80, bound)]),
        ..Host::default()
    };
    Service {
        id: id.to_owned(),
        address: Ipv4Addr::new(10, 0, 16, 2),
        entry: PackageEntry {
            hosts: BTreeMap::from([("main".to_owned(), host)]),
            ..PackageEntry::bare(StateInfo::Installed {
                manifest: serde_json::json!({ "version": "1:0" }),
            })
        },
    }
}

/// What is built when every certificate is there but those of the services in `uncertified`.
fn built(network: &Network, services: &[Service], uncertified: &[&str]) -> Built {
    let is_missing = |key: &str| {
        uncertified
            .iter()
            .any(|one| key == format!("service {one}"))
    };
    let certificates = wanted_leaves(network, services)
        .into_iter()
        .filter(|(key, _)| !is_missing(key))
        .map(|(_, (mut names, addresses))| {
            names.extend(addresses.iter().map(IpAddr::to_string));
            Certificate {
                names,
                chain_pem: String::new(),
                key_pem: KeyPem::new(String::new()),
            }
        })
        .collect();
    let root = "-----BEGIN CERTIFICATE-----";
    build(network, services, certificates, Vec::new(), root, 1)
}

fn leads_somewhere(built: &Built, name: &str) -> bool {
    let mut names = built.table.routes.iter().flat_map(|route| &route.names);
    names.any(|one| one == name)
}

#[test]
fn a_service_on_coppices_own_port_keeps_its_name_and_costs_nobody_anything() {
    let network = network("coppice");
    let services = [service("greedy", HTTPS), service("hello", 9443)];
    let built = built(&network, &services, &[]);
    assert_eq!(built.table.check(), Ok(()));
    for name in [
        "coppice.local",
        "greedy-coppice.local",
        "hello-coppice.local",
    ] {
        assert!(leads_somewhere(&built, name), "{name}");
    }
    let ports = built.listeners.iter().map(|one| one.addr.port());
    assert!(ports.into_iter().any(|port| port == 9443));
    assert_eq!(built.left_out.len(), 1, "{:?}", built.left_out);
    assert!(built.left_out[0].contains("Port 8443 of `greedy`"));
}

#[test]
fn a_port_whose_protection_coppice_cannot_give_stays_closed_and_that_is_said() {
    let network = network("coppice");
    let mut services = [
        service("locked", 9443),
        service("sealed", 9444),
        service("hello", 9445),
    ];
    let bound = |service: &mut Service, change: fn(&mut BindOptions)| {
        let host = service.entry.hosts.get_mut("main").unwrap();
        change(&mut host.bindings.get_mut(&80).unwrap().options);
    };
    bound(&mut services[0], |options| {
        let auth = serde_json::json!({ "type": "bearer", "tokens": ["x"], "realm": null });
        options.add_ssl.as_mut().unwrap().auth = Some(auth);
    });
    bound(&mut services[1], |options| {
        options.secure = Some(Secure { ssl: true })
    });
    let built = built(&network, &services, &[]);
    assert_eq!(built.table.check(), Ok(()));
    let ports: Vec<u16> = built.listeners.iter().map(|one| one.addr.port()).collect();
    assert!(!ports.contains(&9443) && !ports.contains(&9444) && ports.contains(&9445));
    assert!(!leads_somewhere(&built, "locked-coppice.local"));
    assert!(built.left_out[0].contains("`locked`") && built.left_out[0].contains("addSsl.auth"));
    assert!(built.left_out[1].contains("`sealed`") && built.left_out[1].contains("secure.ssl"));
}

#[test]
fn two_services_on_one_port_leave_it_to_the_first() {
    let network = network("coppice");
    let services = [service("a", 9443), service("b", 9443)];
    let built = built(&network, &services, &[]);
    assert_eq!(built.table.check(), Ok(()));
    assert_eq!(built.left_out.len(), 1);
}

#[test]
fn a_service_whose_name_is_too_long_is_served_on_its_port_only() {
    let network = network("coppice");
    let long = "a".repeat(60);
    let services = [service(&long, 9443), service("hello", 9444)];
    let built = built(&network, &services, &[]);
    assert_eq!(built.table.check(), Ok(()));
    assert!(leads_somewhere(&built, "hello-coppice.local"));
    let ports = built.listeners.iter().map(|one| one.addr.port());
    assert!(ports.into_iter().any(|port| port == 9443));
    assert!(built.left_out[0].contains("longer than names may be"));
}

#[test]
fn a_service_without_a_certificate_costs_the_others_nothing() {
    let network = network("coppice");
    let services = [service("late", 9443), service("hello", 9444)];
    let built = built(&network, &services, &["late"]);
    assert_eq!(built.table.check(), Ok(()));
    assert!(leads_somewhere(&built, "hello-coppice.local"));
    assert!(!leads_somewhere(&built, "late-coppice.local"));
    assert!(built.left_out[0].starts_with("late-coppice.local is not served"));
}

#[test]
fn what_the_document_says_again_gives_the_same_table() {
    let network = network("coppice");
    let services = [service("hello", 9444)];
    assert_eq!(
        built(&network, &services, &[]),
        built(&network, &services, &[])
    );
}

proptest! {
    #[test]
    fn whatever_packages_declare_there_is_a_table_that_can_be_served(
        declared in prop::collection::btree_map(
            "[a-z0-9]{1,40}(-[a-z0-9]{1,40}){0,2}",
            prop_oneof![Just(HTTPS), Just(8080), Just(5300), Just(9443), any::<u16>()],
            0..8,
        ),
        hostname in "[a-z]{1,24}",
        certified in any::<bool>(),
    ) {
        let network = network(&hostname);
        let services: Vec<Service> =
            declared.iter().map(|(id, port)| service(id, *port)).collect();
        let missing: Vec<&str> = declared.keys().map(String::as_str).take(1).collect();
        let missing = if certified { &[][..] } else { &missing };
        let built = built(&network, &services, missing);
        prop_assert_eq!(built.table.check(), Ok(()));
        prop_assert!(leads_somewhere(&built, &network.server_name()));
    }
}
