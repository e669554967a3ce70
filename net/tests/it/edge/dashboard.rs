//! The dashboard and the API: what the edge serves itself or passes to the core.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncReadExt, net::UnixListener};

use super::{a_core, json};
use crate::{
    servers::{self, mebibyte, sha256, unix_listener},
    world::{World, header, in_a_world, status},
};

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
