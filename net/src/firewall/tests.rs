use super::*;

fn subnet() -> Subnet {
    serde_json::from_str(r#"{"v4":"10.42.16.0/20","v6":"fd00:1:2::/64"}"#).unwrap()
}

fn firewall() -> Firewall {
    let subnet = subnet();
    Firewall {
        table: "coppice_abc234".into(),
        bridge: "copabc234".into(),
        subnet,
        port_prefix: "cabc234v".into(),
        ports: (0..2)
            .map(|n| Port {
                interface: format!("cabc234v{n}"),
                seat: subnet.seat(n).unwrap(),
            })
            .collect(),
        masquerade: true,
        forwards: vec![],
        allow: vec![],
        host_ports: vec![(Proto::Tcp, PortRange::one(443))],
    }
}

fn forward(ports: PortRange, to_port: u16, scope: Scope) -> Forward {
    Forward {
        proto: Proto::Tcp,
        ports,
        to: "10.42.16.2".parse().unwrap(),
        to_port,
        scope,
    }
}

#[test]
fn the_text_replaces_both_tables_in_one_go() {
    let text = firewall().render().unwrap();
    for family in ["inet", "bridge"] {
        let delete = text
            .find(&format!("delete table {family} coppice_abc234"))
            .unwrap();
        let state = text
            .find(&format!("table {family} coppice_abc234 {{"))
            .unwrap();
        assert!(delete < state);
    }
}

#[test]
fn a_forward_keeps_the_port_where_it_can_and_the_order_where_it_cannot() {
    let rule = |forward: Forward| {
        let mut firewall = firewall();
        firewall.forwards = vec![forward];
        let text = firewall.render().unwrap();
        let line = text.lines().find(|line| line.contains("dnat ip to"));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(
        rule(forward(PortRange::one(8080), 80, Scope::Internal)),
        "ip daddr 10.42.16.1 tcp dport 8080 dnat ip to 10.42.16.2:80"
    );
    assert_eq!(
        rule(forward(
            PortRange::new(22000, 3).unwrap(),
            22000,
            Scope::Everywhere
        )),
        "fib daddr type local ip daddr != 127.0.0.0/8 tcp dport 22000-22002 dnat ip to 10.42.16.2"
    );
    assert_eq!(
        rule(forward(
            PortRange::new(2000, 2).unwrap(),
            3000,
            Scope::Internal
        )),
        "ip daddr 10.42.16.1 tcp dport 2000-2001 dnat ip to 10.42.16.2 : tcp dport map { 2000 : 3000, 2001 : 3001 }"
    );
}

#[test]
fn nothing_between_two_containers_is_allowed_unless_it_is_listed() {
    let mut firewall = firewall();
    assert!(!firewall.render().unwrap().contains("ip daddr 10.42.16.2 "));
    firewall.allow.push(Allow {
        consumer: "10.42.16.3".parse().unwrap(),
        provider: "10.42.16.2".parse().unwrap(),
        ports: vec![(Proto::Tcp, PortRange::one(5432))],
    });
    assert!(
        firewall
            .render()
            .unwrap()
            .contains("ip saddr 10.42.16.3 ip daddr 10.42.16.2 tcp dport 5432 goto approved")
    );
}

#[test]
fn a_name_that_could_become_a_rule_is_refused() {
    for bad in ["", "x; flush ruleset", "a\nb", "a{", "\""] {
        let mut firewall = firewall();
        firewall.ports[0].interface = bad.into();
        assert!(
            matches!(firewall.render(), Err(FirewallError::Name { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn ports_never_pass_the_last_one() {
    assert_eq!(PortRange::new(65535, 2), None);
    assert_eq!(PortRange::new(1, 0), None);
    let mut firewall = firewall();
    firewall.forwards = vec![forward(
        PortRange::new(100, 10).unwrap(),
        65530,
        Scope::Everywhere,
    )];
    assert!(matches!(
        firewall.render(),
        Err(FirewallError::Forward {
            first: 100,
            to_port: 65530
        })
    ));
}
