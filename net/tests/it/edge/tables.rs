//! Tables and sockets that come and go, and the end of an edge.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use coppice_net::table::{ProxyMode, Role, Target};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use super::tls;
use crate::{
    servers,
    world::{World, in_a_world, status},
};

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
