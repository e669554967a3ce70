//! What the machine's networks look like from the inside, and the bridge made beside them.

use coppice_net::{
    bridge::{self, BridgeError},
    subnet::{self, Subnet},
};
use ipnet::IpNet;

use crate::netns::{alone_async, ip, run};

#[test]
fn addresses_and_routes_of_the_machine_count_as_taken() {
    alone_async(|| async {
        ip("link add up0 type veth peer name up1");
        ip("addr add 10.7.0.9/24 dev up0");
        ip("link set up0 up");
        ip("link set up1 up");
        ip("route add 10.9.0.0/16 via 10.7.0.1");
        ip("route add default via 10.7.0.1");
        let taken = subnet::taken().await.unwrap();
        let has = |net: &str| taken.contains(&net.parse::<IpNet>().unwrap());
        assert!(has("10.7.0.0/24"), "{taken:?}");
        assert!(has("10.9.0.0/16"), "{taken:?}");
        assert!(!has("0.0.0.0/0"), "{taken:?}");
    });
}

#[test]
fn a_bridge_answers_on_its_addresses_before_it_has_a_port() {
    alone_async(|| async {
        let subnet = Subnet::choose("abc234", &[]).unwrap();
        bridge::ensure("copabc234", &subnet).await.unwrap();
        std::net::TcpListener::bind((subnet.gateway_v4(), 53)).unwrap();
        std::net::TcpListener::bind((subnet.gateway_v6(), 53)).unwrap();
        assert_eq!(
            std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(),
            "1\n"
        );
        let mac = subnet.gateway_mac().map(|b| format!("{b:02x}")).join(":");
        assert!(run("ip", &["link", "show", "copabc234"]).contains(&mac));
    });
}

#[test]
fn an_interface_that_is_no_bridge_is_not_taken_over() {
    alone_async(|| async {
        ip("link add copabc234 type veth peer name other");
        let subnet = Subnet::choose("abc234", &[]).unwrap();
        let refused = bridge::ensure("copabc234", &subnet).await;
        assert!(matches!(refused, Err(BridgeError::NotABridge { .. })));
        let refused = bridge::remove("copabc234").await;
        assert!(matches!(refused, Err(BridgeError::NotABridge { .. })));
        let refused = bridge::ensure("far-too-long-a-name", &subnet).await;
        assert!(matches!(refused, Err(BridgeError::Name { .. })));
    });
}

#[test]
fn a_host_that_got_its_address_from_the_router_still_listens_to_it() {
    alone_async(|| async {
        ip("link add up0 type veth peer name up1");
        std::fs::write("/proc/sys/net/ipv6/conf/up0/accept_ra", "1").unwrap();
        let subnet = Subnet::choose("abc234", &[]).unwrap();
        bridge::ensure("copabc234", &subnet).await.unwrap();
        let accept = std::fs::read_to_string("/proc/sys/net/ipv6/conf/up0/accept_ra").unwrap();
        assert_eq!(accept, "2\n");
        let ours = std::fs::read_to_string("/proc/sys/net/ipv6/conf/copabc234/accept_ra").unwrap();
        assert_eq!(ours, "0\n");
    });
}
