use proptest::prelude::*;

use super::*;

fn table() -> RoutingTable {
    RoutingTable {
        generation: 3,
        hostname: "willow".into(),
        dashboard_names: vec!["willow.local".into()],
        listeners: vec![
            ListenerRole {
                id: "https 0.0.0.0:443".into(),
                role: Role::Https,
            },
            ListenerRole {
                id: "tls 8333".into(),
                role: Role::Tls {
                    port_route: Target::Proxy {
                        addr: "10.1.0.2:50001".parse().unwrap(),
                        mode: ProxyMode::Raw,
                    },
                },
            },
        ],
        certificates: vec![Certificate {
            names: vec!["willow.local".into(), "192.168.1.5".into()],
            chain_pem: "chain".into(),
            key_pem: KeyPem::new("-----BEGIN PRIVATE KEY-----".into()),
        }],
        routes: vec![Route {
            names: vec!["willow.local".into()],
            listener: None,
            target: Target::Dashboard,
        }],
        dns: Dns {
            records: vec![Record {
                name: "hello.startos".into(),
                addresses: vec!["10.1.0.2".parse().unwrap()],
            }],
            zones: vec!["startos".into()],
            upstreams: vec!["9.9.9.9:53".parse().unwrap()],
            clients: vec!["10.1.0.0/20".parse().unwrap()],
        },
        mdns: vec![Record {
            name: "willow.local".into(),
            addresses: vec!["192.168.1.5".parse().unwrap()],
        }],
        ca_pem: "-----BEGIN CERTIFICATE-----".into(),
    }
}

#[test]
fn a_whole_table_passes_and_survives_the_wire() {
    let table = table();
    table.check().unwrap();
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<RoutingTable>(&text).unwrap(), table);
}

#[test]
fn the_wire_form_is_camel_case_with_a_kind() {
    let route = Route {
        names: vec!["hello-willow.local".into()],
        listener: None,
        target: Target::Proxy {
            addr: "10.1.0.2:80".parse().unwrap(),
            mode: ProxyMode::Http {
                forwarded_headers: true,
            },
        },
    };
    assert_eq!(
        serde_json::to_string(&route).unwrap(),
        r#"{"names":["hello-willow.local"],"listener":null,"target":{"kind":"proxy","addr":"10.1.0.2:80","mode":{"kind":"http","forwardedHeaders":true}}}"#
    );
    let role = Role::Tls {
        port_route: Target::Dashboard,
    };
    assert_eq!(
        serde_json::to_string(&role).unwrap(),
        r#"{"kind":"tls","portRoute":{"kind":"dashboard"}}"#
    );
}

#[test]
fn a_key_is_not_printed() {
    assert!(!format!("{:?}", table()).contains("PRIVATE KEY"));
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut RoutingTable)| {
        let mut table = table();
        change(&mut table);
        table.check().unwrap_err()
    };
    assert_eq!(
        refused(&|t| t.routes[0].names[0] = "Willow.local".into()),
        TableError::Name {
            name: "Willow.local".into(),
            place: "routes"
        }
    );
    assert_eq!(
        refused(&|t| t.listeners[1].id = t.listeners[0].id.clone()),
        TableError::ListenerTwice {
            id: "https 0.0.0.0:443".into()
        }
    );
    assert_eq!(
        refused(&|t| t.routes[0].listener = Some("tls 1".into())),
        TableError::NoSuchListener {
            name: "willow.local".into(),
            id: "tls 1".into()
        }
    );
    assert_eq!(
        refused(&|t| t.routes.push(t.routes[0].clone())),
        TableError::RouteTwice {
            name: "willow.local".into()
        }
    );
    assert_eq!(
        refused(&|t| t.certificates.clear()),
        TableError::NoCertificate {
            name: "willow.local".into()
        }
    );
    assert_eq!(
        refused(&|t| t.dns.records[0].addresses.clear()),
        TableError::NoAddress {
            name: "hello.startos".into(),
            place: "dns.records"
        }
    );
    assert_eq!(
        refused(&|t| t.mdns[0].name = "willow.home".into()),
        TableError::NotLocal {
            name: "willow.home".into()
        }
    );
    assert_eq!(refused(&|t| t.ca_pem.clear()), TableError::NoRoot);
}

#[test]
fn the_same_name_may_lead_elsewhere_on_a_port_of_its_own() {
    let mut table = table();
    let mut other = table.routes[0].clone();
    other.listener = Some("tls 8333".into());
    table.routes.push(other);
    table.check().unwrap();
}

proptest! {
    #[test]
    fn a_host_name_never_holds_what_a_header_or_a_page_could_trip_over(name in ".{0,80}") {
        if is_host_name(&name) {
            prop_assert!(!name.is_empty());
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'));
            prop_assert!(!name.contains(".."));
        }
    }

    #[test]
    fn dotted_plain_labels_are_host_names(labels in prop::collection::vec("[a-z0-9]{1,20}", 1..5)) {
        prop_assert!(is_host_name(&labels.join(".")));
    }
}
