use proptest::prelude::*;

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn the_same_seed_and_neighbours_give_the_same_subnet() {
    let taken = [net("192.168.1.0/24")];
    let one = Subnet::choose("abc234", &taken).unwrap();
    assert_eq!(one, Subnet::choose("abc234", &taken).unwrap());
    assert_ne!(one, Subnet::choose("abc235", &taken).unwrap());
    assert_eq!(one.v4().prefix_len(), 20);
    assert_eq!(one.v6().prefix_len(), 64);
    assert_eq!(one.v6().network().octets()[0], 0xfd);
}

#[test]
fn a_taken_subnet_is_passed_over() {
    let first = Subnet::choose("abc234", &[]).unwrap();
    let second = Subnet::choose("abc234", &[IpNet::V4(first.v4())]).unwrap();
    assert_ne!(first.v4(), second.v4());
    assert_eq!(first.v6(), second.v6());
}

#[test]
fn a_vpn_that_claims_all_of_ten_does_not_leave_us_homeless() {
    Subnet::choose("abc234", &[net("10.0.0.0/8"), net("0.0.0.0/0")]).unwrap();
}

#[test]
fn a_full_ten_is_an_error_that_says_what_to_do() {
    let full = [net("10.0.0.0/9"), net("10.128.0.0/9")];
    assert_eq!(Subnet::choose("abc234", &full), Err(NoFreeSubnet));
}

#[test]
fn seats_end_before_the_broadcast_address() {
    let subnet = Subnet::choose("abc234", &[]).unwrap();
    assert_eq!(
        u32::from(subnet.seat(0).unwrap().v4),
        u32::from(subnet.gateway_v4()) + 1
    );
    assert_eq!(
        u32::from(subnet.seat(4092).unwrap().v4),
        u32::from(subnet.v4().broadcast()) - 1
    );
    assert_eq!(subnet.seat(4093), None);
    assert_eq!(subnet.seat(u32::MAX), None);
}

#[test]
fn a_subnet_is_stored_as_two_prefixes() {
    let subnet = Subnet::choose("abc234", &[]).unwrap();
    let text = serde_json::to_string(&subnet).unwrap();
    assert_eq!(serde_json::from_str::<Subnet>(&text).unwrap(), subnet);
    assert!(text.starts_with(r#"{"v4":"10."#), "{text}");
}

proptest! {
    #[test]
    fn the_choice_overlaps_nothing_that_is_taken(
        seed in "[a-z2-7]{6}",
        taken in prop::collection::vec((any::<[u8; 3]>(), 9u8..=32), 0..40),
    ) {
        let taken: Vec<IpNet> = taken
            .into_iter()
            .map(|([b, c, d], prefix)| {
                IpNet::new(Ipv4Addr::new(10, b, c, d).into(), prefix).unwrap().trunc()
            })
            .collect();
        if let Ok(subnet) = Subnet::choose(&seed, &taken) {
            let chosen = IpNet::V4(subnet.v4());
            prop_assert!(net("10.0.0.0/8").contains(&chosen));
            for other in &taken {
                prop_assert!(!chosen.contains(other) && !other.contains(&chosen));
            }
        }
    }

    #[test]
    fn no_two_services_share_a_seat(a in 0u32..4093, b in 0u32..4093) {
        let subnet = Subnet::choose("abc234", &[]).unwrap();
        let (one, two) = (subnet.seat(a).unwrap(), subnet.seat(b).unwrap());
        prop_assert!(subnet.v4().contains(&one.v4) && subnet.v6().contains(&one.v6));
        prop_assert_eq!(a == b, one.v4 == two.v4);
        prop_assert_eq!(a == b, one.v6 == two.v6);
        prop_assert_eq!(a == b, one.mac == two.mac);
        prop_assert_ne!(one.v4, subnet.gateway_v4());
    }
}
