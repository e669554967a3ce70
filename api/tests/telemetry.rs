//! A span that is opened in Coppice reaches a collector, when one is set.

#![allow(clippy::unwrap_used, reason = "helpers of a test are a test")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

/// Takes requests like a collector; hands on what came.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (came, coming) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let length = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&request);
                let Some((head, _)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let announced = head
                    .lines()
                    .find_map(|line| {
                        line.to_lowercase()
                            .strip_prefix("content-length: ")?
                            .parse()
                            .ok()
                    })
                    .unwrap_or(0);
                if request.len() >= head.len() + 4 + announced {
                    let line = head.lines().next().unwrap_or_default().to_owned();
                    stream
                        .write_all(
                            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                        )
                        .unwrap();
                    came.send((line, request)).unwrap();
                    break;
                }
            }
        }
    });
    (endpoint, coming)
}

#[test]
fn a_span_reaches_the_collector_that_the_setting_names() {
    let (endpoint, coming) = collector();
    // SAFETY: the only test of this program, before it has another thread that reads the environment.
    unsafe { std::env::set_var("COPPICE_OTLP_ENDPOINT", endpoint) };
    let telemetry = coppice_api::telemetry::start("test", None).unwrap();
    tracing::info_span!("install", package = "hello").in_scope(|| tracing::info!("unpacked"));
    drop(telemetry);
    let (line, body) = coming.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(line.starts_with("POST /v1/traces "), "{line}");
    let text = String::from_utf8_lossy(&body);
    for word in ["install", "hello", "unpacked", "coppice"] {
        assert!(text.contains(word), "`{word}` is not in what was sent");
    }
}
