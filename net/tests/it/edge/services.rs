//! Services behind their names.

use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use coppice_net::table::{ProxyMode, Role, Target};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::{a_core, json, tls};
use crate::{
    servers::{self, mebibyte, sha256},
    world::{World, in_a_world, status},
};

#[test]
fn a_service_is_told_who_asks_only_when_it_wants_to_know() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("told-willow.local", service, true);
        world.service("plain-willow.local", service, false);
        world.publish().await;
        let spoof = [
            "--http2",
            "-H",
            "X-Forwarded-For: 1.1.1.1",
            "-H",
            "X-Real-IP: 1.1.1.1",
        ];
        let ask = |url| [&spoof[..], &[url]].concat();
        let told = json(&world.curl(&ask("https://told-willow.local/a?b")).await);
        assert_eq!(told["headers"]["x-forwarded-for"], "127.0.0.1");
        assert_eq!(told["headers"]["x-forwarded-proto"], "https");
        assert_eq!(told["headers"]["host"], "told-willow.local");
        assert_eq!(told["headers"]["x-real-ip"], Value::Null);
        let plain = json(&world.curl(&ask("https://plain-willow.local/a?b")).await);
        assert_eq!(plain["headers"]["x-forwarded-for"], Value::Null);
        assert_eq!(plain["headers"]["x-forwarded-proto"], Value::Null);
    });
}

#[test]
fn a_hundred_mebibytes_come_through_unchanged_while_the_table_changes() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        let expected = sha256((0..100).map(|_| mebibyte()));
        for version in ["--http1.1", "--http2"] {
            let file = world.dir.path().join("download");
            // Slow enough to be under way when the table changes.
            let args = [version, "--limit-rate", "150M", "-o", "download"];
            let args = [&args[..], &["https://hello-willow.local/download/100"]].concat();
            let mut curl = Command::new("curl")
                .current_dir(world.dir.path())
                .args([
                    "--silent",
                    "--cacert",
                    "ca.pem",
                    "--connect-to",
                    "::127.0.0.1:",
                ])
                .args(args)
                .spawn()
                .unwrap();
            while std::fs::metadata(&file).map_or(0, |file| file.len()) < 1 << 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world
                .table
                .routes
                .retain(|route| route.names[0] == "willow.local");
            world.publish().await;
            let ended = tokio::task::spawn_blocking(move || curl.wait().unwrap())
                .await
                .unwrap();
            assert!(ended.success());
            let content = std::fs::read(&file).unwrap();
            assert_eq!(sha256([Bytes::from(content)]), expected, "{version}");
            std::fs::remove_file(&file).unwrap();
            let gone = world
                .curl(&["--include", "https://hello-willow.local/x"])
                .await;
            assert_eq!(status(&gone), 421);
            let mode = ProxyMode::Http {
                forwarded_headers: false,
            };
            let target = Target::Proxy {
                addr: service,
                mode,
            };
            world.route("hello-willow.local", target);
            world.publish().await;
        }
    });
}

#[test]
fn websockets_pass_to_services_and_to_the_core() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        let _core = a_core(&world).await;
        for (name, path) in [("hello-willow.local", "/live"), ("willow.local", "/ws/db")] {
            let stream = tls(&world, name, 443).await;
            let url = format!("wss://{name}{path}");
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            for message in [Message::text("hello"), Message::binary(mebibyte())] {
                socket.send(message.clone()).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), message);
            }
            // What is established goes on when its route is gone.
            world.table.routes.retain(|route| route.names[0] != name);
            world.publish().await;
            socket.send(Message::text("still there")).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap();
            assert_eq!(answer, Message::text("still there"));
            socket.close(None).await.unwrap();
        }
    });
}

#[test]
fn two_thousand_requests_one_after_the_other_all_succeed() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        let ask = |version, range: &str| {
            let url = format!("https://hello-willow.local/{range}");
            let args = [version, "-o", "/dev/null", "-w", "%{http_code} ", &url];
            args.map(str::to_owned)
        };
        let ask = async |version, range| {
            let args = ask(version, range);
            world.curl(&args.each_ref().map(String::as_str)).await
        };
        assert_eq!(ask("--http1.1", "[1-1000]").await, "200 ".repeat(1000));
        assert_eq!(ask("--http2", "[1-1000]").await, "200 ".repeat(1000));
        // The same with a new connection and handshake each.
        for _ in 0..50 {
            let mut stream = tls(&world, "hello-willow.local", 443).await;
            let request = "GET / HTTP/1.1\r\nHost: hello-willow.local\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    });
}

/// An address that refuses.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_service_that_refuses_is_named_to_people_and_programs() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        world.service("hello-willow.local", closed(), false);
        world.publish().await;
        let url = "https://hello-willow.local/";
        let page = world
            .curl(&["--include", "-H", "Accept: text/html", url])
            .await;
        assert_eq!(status(&page), 502);
        assert!(
            page.contains("<h1>hello-willow.local is not answering</h1>"),
            "{page}"
        );
        assert!(page.contains("\"https://willow.local/\""), "{page}");
        assert!(page.contains("http-equiv=\"refresh\""), "{page}");
        let line = world.curl(&["--include", url]).await;
        assert_eq!(status(&line), 502);
        assert!(
            line.contains("hello-willow.local is not answering."),
            "{line}"
        );
        assert!(!line.contains('<'), "{line}");
    });
}

#[test]
fn the_way_from_a_silent_service_to_the_dashboard_has_the_port_of_the_dashboard() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        world.service("hello-willow.local", closed(), false);
        world.stop_listening("0.0.0.0:443");
        world.listen("0.0.0.0:8443", Role::Https);
        world.publish().await;
        let url = "https://hello-willow.local:8443/";
        let page = world.curl(&["-H", "Accept: text/html", url]).await;
        assert!(page.contains("\"https://willow.local:8443/\""), "{page}");
    });
}
