//! The name server, asked by dig.

use coppice_net::table::Dns;
use tokio::process::Command;

use crate::world::{World, in_a_world, record};

/// Status and answers of one question.
async fn dig(args: &str) -> (String, Vec<String>) {
    let output = Command::new("dig")
        .args(["+tries=1", "+time=3", "+noall", "+comments", "+answer"])
        .args(args.split(' '))
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text
        .split("status: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap_or_else(|| panic!("{args}: {text}"));
    let answers = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .map(|line| {
            line.split_whitespace()
                .skip(3)
                .collect::<Vec<_>>()
                .join(" ")
        });
    (status.to_owned(), answers.collect())
}

fn says(status: &str, answers: &[&str]) -> (String, Vec<String>) {
    let answers = answers.iter().map(|&answer| answer.to_owned()).collect();
    (status.to_owned(), answers)
}

fn dns() -> Dns {
    Dns {
        records: vec![
            record("startos", &["10.42.16.1"]),
            record("hello.startos", &["10.42.16.2", "fd00::2"]),
            record("hello-willow.local", &["192.168.1.5"]),
        ],
        zones: vec!["startos".into()],
        upstreams: vec![],
        clients: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

fn serving(dns: Dns, addr: &str) -> World {
    let mut world = World::unpublished();
    world.table.dns = dns;
    world.listen_udp(addr);
    world.listen(addr, coppice_net::table::Role::Dns);
    world
}

#[test]
fn our_names_are_answered_to_everyone_over_udp_and_tcp() {
    in_a_world(|| async {
        let mut world = serving(dns(), "127.0.0.1:53");
        world.publish().await;
        for transport in ["+notcp", "+tcp"] {
            let ask =
                async |question: &str| dig(&format!("@127.0.0.1 {transport} {question}")).await;
            assert_eq!(
                ask("hello.startos A").await,
                says("NOERROR", &["A 10.42.16.2"])
            );
            assert_eq!(
                ask("HELLO.startos AAAA").await,
                says("NOERROR", &["AAAA fd00::2"])
            );
            assert_eq!(ask("startos A").await, says("NOERROR", &["A 10.42.16.1"]));
            assert_eq!(
                ask("hello-willow.local A").await,
                says("NOERROR", &["A 192.168.1.5"])
            );
            // The name is there, the type is not.
            assert_eq!(ask("hello.startos TXT").await, says("NOERROR", &[]));
            assert_eq!(ask("hello-willow.local AAAA").await, says("NOERROR", &[]));
            // The zone is ours, the name is not there.
            assert_eq!(ask("gone.startos A").await, says("NXDOMAIN", &[]));
            // Neither.
            assert_eq!(ask("example.com A").await, says("REFUSED", &[]));
            assert_eq!(ask("startos AXFR").await.1, Vec::<String>::new());
        }
    });
}

#[test]
fn the_world_is_asked_about_for_listed_clients_only() {
    in_a_world(|| async {
        let upstream = Dns {
            records: vec![record("example.com", &["203.0.113.7"])],
            zones: vec!["example.com".into()],
            ..Dns::default()
        };
        let mut upstream = serving(upstream, "127.0.0.9:5300");
        upstream.stop_listening("0.0.0.0:80");
        upstream.stop_listening("0.0.0.0:443");
        upstream.publish().await;
        let mut world = serving(
            Dns {
                upstreams: vec!["127.0.0.9:5300".parse().unwrap()],
                clients: vec!["127.0.0.1/32".parse().unwrap()],
                ..dns()
            },
            "127.0.0.1:53",
        );
        world.publish().await;
        let listed = dig("@127.0.0.1 -b 127.0.0.1 example.com A").await;
        assert_eq!(listed, says("NOERROR", &["A 203.0.113.7"]));
        let listed = dig("@127.0.0.1 -b 127.0.0.1 gone.example.com A").await;
        assert_eq!(listed.0, "NXDOMAIN");
        let stranger = dig("@127.0.0.1 -b 127.0.0.2 example.com A").await;
        assert_eq!(stranger, says("REFUSED", &[]));
        let stranger = dig("@127.0.0.1 -b 127.0.0.2 hello.startos A").await;
        assert_eq!(stranger, says("NOERROR", &["A 10.42.16.2"]));
        // What is ours is never asked about elsewhere.
        let listed = dig("@127.0.0.1 -b 127.0.0.1 gone.startos A").await;
        assert_eq!(listed.0, "NXDOMAIN");
    });
}

#[test]
fn a_new_table_is_answered_from_on_the_same_sockets() {
    in_a_world(|| async {
        let mut world = serving(dns(), "127.0.0.1:53");
        world.publish().await;
        assert_eq!(dig("@127.0.0.1 new.startos A").await.0, "NXDOMAIN");
        world
            .table
            .dns
            .records
            .push(record("new.startos", &["10.42.16.9"]));
        world
            .table
            .dns
            .records
            .retain(|record| record.name != "hello.startos");
        world.publish().await;
        assert_eq!(
            dig("@127.0.0.1 new.startos A").await,
            says("NOERROR", &["A 10.42.16.9"])
        );
        assert_eq!(dig("@127.0.0.1 hello.startos A").await.0, "NXDOMAIN");
    });
}
