//! The edge as browsers, services and the core meet it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use coppice_net::table::{ProxyMode, Role, Target};
use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    servers::{self, mebibyte, sha256, unix_listener},
    world::{World, header, in_a_world, status},
};

/// A TLS connection to 127.0.0.1 on `port` as `name`, trusting the world's authority.
async fn tls(world: &World, name: &str, port: u16) -> TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.root.cert_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(name.to_owned()).unwrap(), stream)
        .await
        .unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

async fn a_core(world: &World) -> tokio::task::JoinHandle<()> {
    let listener = unix_listener(&world.core_socket());
    servers::core(UnixListener::from_std(listener).unwrap())
}

#[test]
fn the_dashboard_is_served_with_a_strict_policy_and_lasting_names_are_cached() {
    in_a_world(|| async {
        let world = World::new().await;
        for path in ["/", "/services/hello"] {
            let url = format!("https://willow.local{path}");
            let page = world.curl(&["--include", &url]).await;
            assert_eq!(status(&page), 200);
            assert_eq!(header(&page, "cache-control"), Some("no-store"));
            assert_eq!(header(&page, "x-frame-options"), Some("DENY"));
            let policy = header(&page, "content-security-policy").unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self' 'nonce-"),
                "{policy}"
            );
            let nonce = page
                .split("ngCspNonce=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap();
            assert!(
                policy.contains(&format!("style-src 'self' 'nonce-{nonce}'")),
                "{policy}"
            );
        }
        let script = ["--include", "https://willow.local/main-ABCD1234.js"];
        let answer = world.curl(&script).await;
        assert!(
            header(&answer, "cache-control")
                .unwrap()
                .contains("immutable")
        );
        assert_eq!(header(&answer, "content-type"), Some("text/javascript"));
        assert!(answer.ends_with("console.log('willow')"));
        let gzip = [&script[..], &["-H", "Accept-Encoding: gzip"]].concat();
        let answer = world.curl(&gzip).await;
        assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
        assert!(answer.ends_with("pretend gzip"));
        let known = [&script[..], &["-H", "If-None-Match: \"main\""]].concat();
        assert_eq!(status(&world.curl(&known).await), 304);
        let missing = world
            .curl(&["--include", "https://willow.local/gone.js"])
            .await;
        assert_eq!(status(&missing), 404);
    });
}

#[test]
fn api_requests_reach_the_core_with_their_senders_address_and_nothing_made_up() {
    in_a_world(|| async {
        let world = World::new().await;
        let _core = a_core(&world).await;
        for version in ["--http1.1", "--http2"] {
            let answer = world
                .curl(&[
                    version,
                    "--include",
                    "-H",
                    "X-Coppice-Peer: 203.0.113.9",
                    "-H",
                    "X-Coppice-Role: admin",
                    "-H",
                    "X-Forwarded-For: 203.0.113.9",
                    "--data",
                    r#"{"method":"server.time"}"#,
                    "https://willow.local/rpc/v1?x=1",
                ])
                .await;
            assert_eq!(header(&answer, "x-from-service"), Some("kept"));
            assert_eq!(header(&answer, "x-private"), None);
            let body = answer.split("\r\n\r\n").nth(1).unwrap();
            let told = json(body);
            assert_eq!(told["method"], "POST");
            assert_eq!(told["path"], "/rpc/v1");
            assert_eq!(told["query"], "x=1");
            assert_eq!(told["length"], 24);
            let headers = told["headers"].as_object().unwrap();
            assert_eq!(headers["x-coppice-peer"], "127.0.0.1");
            assert_eq!(headers["host"], "willow.local");
            assert!(!headers.contains_key("x-coppice-role"));
            assert!(!headers.contains_key("x-forwarded-for"));
        }
    });
}

#[test]
fn uploads_stream_to_the_core_and_requests_without_an_end_are_cut() {
    in_a_world(|| async {
        let world = World::new().await;
        let _core = a_core(&world).await;
        let file = world.dir.path().join("upload");
        let mut content = Vec::new();
        for _ in 0..20 {
            content.extend_from_slice(&mebibyte());
        }
        std::fs::write(&file, &content).unwrap();
        for version in ["--http1.1", "--http2"] {
            let url = "https://willow.local/rest/upload";
            let told = json(
                &world
                    .curl(&[version, "--data-binary", "@upload", url])
                    .await,
            );
            assert_eq!(told["length"], content.len());
            assert_eq!(told["sha256"], sha256([Bytes::from(content.clone())]));
            let url = "https://willow.local/rpc/v1";
            for chunked in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
                let args = [
                    version,
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "--data-binary",
                    "@upload",
                ];
                let args = [&args, chunked, &[url]].concat();
                let output = world.try_curl(&args).await;
                // A client that is told in the middle of its body may notice the answer or the end.
                let code = String::from_utf8(output.stdout).unwrap();
                assert!(
                    code == "413" || !output.status.success(),
                    "{version}: {code}"
                );
            }
        }
    });
}

#[test]
fn while_the_core_is_away_requests_wait_and_services_do_not_care() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        // The heart's listener is there, nobody accepts.
        let listener = unix_listener(&world.core_socket());
        let waiting = world.curl(&["https://willow.local/rpc/v1"]);
        let mut waiting = std::pin::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(400), &mut waiting).await;
        assert!(early.is_err());
        let told = world.curl(&["https://hello-willow.local/x"]).await;
        assert_eq!(json(&told)["path"], "/x");
        let first = servers::core(UnixListener::from_std(listener.try_clone().unwrap()).unwrap());
        assert_eq!(json(&waiting.await)["path"], "/rpc/v1");
        // Killed with a connection open, and back.
        first.abort();
        let _ = first.await;
        let second = servers::core(UnixListener::from_std(listener).unwrap());
        let told = world.curl(&["https://willow.local/rpc/v2"]).await;
        assert_eq!(json(&told)["path"], "/rpc/v2");
        second.abort();
    });
}

#[test]
fn a_request_the_core_took_with_it_is_not_repeated_but_a_look_is() {
    in_a_world(|| async {
        let world = World::new().await;
        let listener = unix_listener(&world.core_socket());
        let listener = UnixListener::from_std(listener).unwrap();
        // A core that dies on its first two requests, having read each to its end.
        let core = tokio::spawn(async move {
            for end in [&b"{}"[..], b"\r\n\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut heard = Vec::new();
                while !heard.ends_with(end) {
                    assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
                }
            }
            servers::core(listener).await.unwrap();
        });
        let url = "https://willow.local/rpc/v1";
        let answer = world.curl(&["--include", "--data", "{}", url]).await;
        assert_eq!(status(&answer), 503);
        assert_eq!(header(&answer, "retry-after"), Some("5"));
        assert!(answer.contains("may or may not have been done"), "{answer}");
        let told = world.curl(&["https://willow.local/rest/look"]).await;
        assert_eq!(json(&told)["path"], "/rest/look");
        core.abort();
    });
}

#[test]
fn without_a_core_socket_the_answer_says_what_is_going_on() {
    in_a_world(|| async {
        let world = World::new().await;
        let url = "https://willow.local/rpc/v1";
        let answer = world.curl(&["--include", "--data", "{}", url]).await;
        assert_eq!(status(&answer), 503);
        assert!(
            answer.contains("Coppice is restarting. Your services go on without it."),
            "{answer}"
        );
    });
}

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

#[test]
fn a_service_that_refuses_is_named_to_people_and_programs() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        world.service("hello-willow.local", closed, false);
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
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        world.service("hello-willow.local", closed, false);
        world.stop_listening("0.0.0.0:443");
        world.listen("0.0.0.0:8443", Role::Https);
        world.publish().await;
        let url = "https://hello-willow.local:8443/";
        let page = world.curl(&["-H", "Accept: text/html", url]).await;
        assert!(page.contains("\"https://willow.local:8443/\""), "{page}");
    });
}

#[test]
fn unknown_names_are_shown_the_dashboards_certificate_and_nothing_else_of_it() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        world.certify(&["127.0.0.1"]);
        world.publish().await;
        let subject = |arguments: &'static [&'static str]| {
            let output = Command::new("openssl")
                .args(["s_client", "-connect", "127.0.0.1:443", "-showcerts"])
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let line = text.lines().find(|line| line.starts_with("subject="));
            line.unwrap_or_else(|| panic!("{text}")).to_owned()
        };
        assert_eq!(
            subject(&["-servername", "willow.local"]),
            "subject=CN = willow.local"
        );
        assert_eq!(
            subject(&["-servername", "nobody.local"]),
            "subject=CN = willow.local"
        );
        // No name at all: the certificate for the address that was connected to.
        assert_eq!(subject(&["-noservername"]), "subject=");
        let answer = world
            .curl(&["--insecure", "--include", "https://nobody.local/"])
            .await;
        assert_eq!(status(&answer), 421);
        assert!(answer.contains("Nothing here has that name"), "{answer}");
        let rebound = [
            "--include",
            "-H",
            "Host: evil.example",
            "https://willow.local/",
        ];
        assert_eq!(status(&world.curl(&rebound).await), 421);
    });
}

#[test]
fn a_port_of_its_own_leads_to_its_service_whatever_the_name_and_a_new_table_moves_only_new_ones() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let first = echo("first").await;
        let second = echo("second").await;
        let raw = |addr| Target::Proxy {
            addr,
            mode: ProxyMode::Raw,
        };
        world.listen(
            "0.0.0.0:8333",
            Role::Tls {
                port_route: raw(first),
            },
        );
        world.publish().await;
        let mut old = tls(&world, "willow.local", 8333).await;
        assert_eq!(say(&mut old, "ping").await, "first ping");
        let role = Role::Tls {
            port_route: raw(second),
        };
        world.table.listeners.last_mut().unwrap().role = role;
        world.publish().await;
        assert_eq!(say(&mut old, "pong").await, "first pong");
        let mut new = tls(&world, "willow.local", 8333).await;
        assert_eq!(say(&mut new, "ping").await, "second ping");
        // The name's own route on that port goes first.
        let mut route = world.table.routes[0].clone();
        route.listener = Some("tcp 0.0.0.0:8333".into());
        world.table.routes.push(route);
        world.publish().await;
        let page = world.curl(&["https://willow.local:8333/"]).await;
        assert!(page.contains("<app-root"), "{page}");
    });
}

#[test]
fn while_tables_come_and_go_no_connection_is_refused() {
    in_a_world(|| async {
        let mut world = World::new().await;
        let asking = tokio::task::spawn_blocking(|| {
            for _ in 0..300 {
                TcpStream::connect("127.0.0.1:443").unwrap();
            }
        });
        while !asking.is_finished() {
            world.publish().await;
        }
        asking.await.unwrap();
        assert_eq!(
            status(&world.curl(&["--include", "https://willow.local/"]).await),
            200
        );
    });
}

#[test]
fn a_socket_that_is_not_handed_over_again_is_closed() {
    in_a_world(|| async {
        let mut world = World::new().await;
        world.stop_listening("0.0.0.0:80");
        world.publish().await;
        assert!(TcpStream::connect("127.0.0.1:80").is_err());
        TcpStream::connect("127.0.0.1:443").unwrap();
    });
}

#[test]
fn a_table_that_cannot_be_served_changes_nothing() {
    in_a_world(|| async {
        let mut world = World::new().await;
        let good = world.table.clone();
        world.table.certificates[0].chain_pem = "nonsense".into();
        world.publish().await;
        assert_eq!(
            status(&world.curl(&["--include", "https://willow.local/"]).await),
            200
        );
        world.table = good;
        world.table.routes.clear();
        world.publish().await;
        assert_eq!(
            status(&world.curl(&["--include", "https://willow.local/"]).await),
            421
        );
    });
}

#[test]
fn the_edge_ends_with_its_source() {
    in_a_world(|| async {
        let world = World::new().await;
        world.end().await;
        // Our own copies of the sockets are closed with the world.
        assert!(TcpStream::connect("127.0.0.1:443").is_err());
    });
}

/// Sends a request in plain HTTP/1.1 and gives the head of its answer.
async fn ask(stream: &mut TlsStream<tokio::net::TcpStream>, name: &str) -> String {
    let request = format!("HEAD / HTTP/1.1\r\nHost: {name}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn a_retired_edge_takes_nothing_new_and_lives_as_long_as_what_was_open() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        let stream = tls(&world, "hello-willow.local", 443).await;
        let url = "wss://hello-willow.local/live";
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut idle = tls(&world, "willow.local", 443).await;
        assert!(
            ask(&mut idle, "willow.local")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let mut fresh = tls(&world, "willow.local", 443).await;
        world.retire();
        // Nothing is under way on it, so it is closed.
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        // What was accepted is served once, whenever it speaks.
        let head = ask(&mut fresh, "willow.local").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(fresh.read(&mut [0]).await.unwrap(), 0);
        // A switched connection goes on for as long as its ends want.
        socket.send(Message::text("still there")).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::text("still there"));
        // Whoever comes now waits for another edge: nobody answers, and nobody refuses.
        let waiting = TcpStream::connect("127.0.0.1:80").unwrap();
        waiting.set_nonblocking(true).unwrap();
        (&waiting).write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        drop(socket);
        world.ended().await;
        let unanswered = (&waiting).read(&mut [0]).unwrap_err();
        assert_eq!(unanswered.kind(), std::io::ErrorKind::WouldBlock);
    });
}

/// Puts `word` before everything it hears.
async fn echo(word: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 4];
                while stream.read_exact(&mut heard).await.is_ok() {
                    let answer = [word.as_bytes(), b" ", &heard].concat();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    addr
}

async fn say(stream: &mut TlsStream<tokio::net::TcpStream>, words: &str) -> String {
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}
