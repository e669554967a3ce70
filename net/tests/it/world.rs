//! An edge with everything around it, in a namespace of its own.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use coppice_clock::Wall;
use coppice_net::{
    ca::Authority,
    edge::{self, Asset, EdgeConfig, Published},
    table::{Certificate, Dns, ListenerRole, ProxyMode, Record, Role, Route, RoutingTable, Target},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::netns;

pub(crate) static FILES: &[Asset] = &[
    Asset {
        path: "index.html",
        bytes: b"<app-root ngCspNonce=\"COPPICE_CSP_NONCE\"></app-root>",
        content_type: "text/html; charset=utf-8",
        etag: "\"index\"",
        gzip: None,
    },
    Asset {
        path: "main-ABCD1234.js",
        bytes: b"console.log('willow')",
        content_type: "text/javascript",
        etag: "\"main\"",
        gzip: Some(b"pretend gzip"),
    },
];

/// Runs `body` in a network of its own, on a runtime whose threads are in it too.
pub(crate) fn in_a_world<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    netns::alone(move || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(body());
    });
}

/// An authority, a table that grows, and the edge that obeys it.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) root: Authority,
    pub(crate) table: RoutingTable,
    sockets: Vec<(String, Socket)>,
    publish: mpsc::Sender<Published>,
    edge: JoinHandle<()>,
}

/// A listening socket, kept open by us as the heart would.
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl World {
    /// An edge that was handed plain HTTP on 80, HTTPS on 443, and a dashboard `willow.local`.
    pub(crate) async fn new() -> Self {
        let mut world = Self::unpublished();
        world.publish().await;
        world
    }

    /// The same before its first table.
    pub(crate) fn unpublished() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Authority::create("Coppice test", Wall::now()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), root.cert_pem()).unwrap();
        let (publish, source) = mpsc::channel(1);
        let config = EdgeConfig {
            api_socket: dir.path().join("edge.sock"),
            source,
            ready: None,
            assets: FILES,
        };
        let table = RoutingTable {
            generation: 0,
            hostname: "willow".into(),
            dashboard_names: vec!["willow.local".into()],
            listeners: vec![],
            certificates: vec![],
            routes: vec![],
            dns: Dns::default(),
            mdns: vec![],
            ca_pem: root.cert_pem().to_owned(),
        };
        let mut world = Self {
            dir,
            root,
            table,
            sockets: vec![],
            publish,
            edge: tokio::spawn(edge::run(config)),
        };
        world.certify(&["willow.local"]);
        world.route("willow.local", Target::Dashboard);
        world.listen("0.0.0.0:80", Role::Http);
        world.listen("0.0.0.0:443", Role::Https);
        world
    }

    pub(crate) fn listen(&mut self, addr: &str, role: Role) {
        let id = format!("tcp {addr}");
        let socket = Socket::Tcp(TcpListener::bind(addr).unwrap());
        self.sockets.push((id.clone(), socket));
        self.table.listeners.push(ListenerRole { id, role });
    }

    pub(crate) fn listen_udp(&mut self, addr: &str) {
        let id = format!("udp {addr}");
        let socket = Socket::Udp(UdpSocket::bind(addr).unwrap());
        self.sockets.push((id.clone(), socket));
        self.table.listeners.push(ListenerRole {
            id,
            role: Role::Dns,
        });
    }

    /// Closes our end; the edge's goes with the next table.
    pub(crate) fn stop_listening(&mut self, addr: &str) {
        let id = format!("tcp {addr}");
        self.sockets.retain(|(known, _)| *known != id);
        self.table.listeners.retain(|listener| listener.id != id);
    }

    pub(crate) fn certify(&mut self, names: &[&str]) {
        let (ips, hosts): (Vec<&str>, Vec<&str>) = names
            .iter()
            .partition(|name| name.parse::<std::net::IpAddr>().is_ok());
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let ips: Vec<_> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let leaf = self.root.issue(&hosts, &ips, Wall::now()).unwrap();
        self.table.certificates.push(Certificate {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            chain_pem: leaf.chain_pem,
            key_pem: leaf.key_pem,
        });
    }

    pub(crate) fn route(&mut self, name: &str, target: Target) {
        self.table.routes.push(Route {
            names: vec![name.to_owned()],
            listener: None,
            target,
        });
    }

    /// Certificate and route for a service that speaks HTTP.
    pub(crate) fn service(&mut self, name: &str, addr: SocketAddr, forwarded_headers: bool) {
        self.certify(&[name]);
        self.route(
            name,
            Target::Proxy {
                addr,
                mode: ProxyMode::Http { forwarded_headers },
            },
        );
    }

    pub(crate) fn announce(&mut self, name: &str, addresses: &[&str]) {
        self.table.mdns.push(record(name, addresses));
    }

    /// What the heart would hand over now.
    pub(crate) fn handed_over(&self) -> Vec<(String, OwnedFd)> {
        self.sockets
            .iter()
            .map(|(id, socket)| {
                let copy = match socket {
                    Socket::Tcp(socket) => OwnedFd::from(socket.try_clone().unwrap()),
                    Socket::Udp(socket) => OwnedFd::from(socket.try_clone().unwrap()),
                };
                (id.clone(), copy)
            })
            .collect()
    }

    /// Hands table and sockets over. Sockets are open, so what is sent to them is answered as soon
    /// as the table is obeyed; only what *changes* in a table has to be waited for.
    pub(crate) async fn publish(&mut self) {
        self.table.generation += 1;
        let published = Published {
            table: self.table.clone(),
            listeners: self.handed_over(),
        };
        self.publish.send(published).await.unwrap();
        // The queue holds one. The second is queued when the first was taken, and the third when the
        // second was, which is when the first was obeyed.
        for _ in 0..2 {
            let published = Published {
                table: self.table.clone(),
                listeners: self.handed_over(),
            };
            self.publish.send(published).await.unwrap();
        }
    }

    /// Closes the source, as when another edge serves.
    pub(crate) fn retire(&mut self) {
        self.publish = mpsc::channel(1).0;
    }

    /// Waits for a retired edge to end; the sockets stay open.
    pub(crate) async fn ended(&mut self) {
        (&mut self.edge).await.unwrap();
    }

    /// Closes the source and waits for the edge to end.
    pub(crate) async fn end(self) {
        drop(self.publish);
        self.edge.await.unwrap();
    }

    pub(crate) fn core_socket(&self) -> PathBuf {
        self.dir.path().join("edge.sock")
    }

    /// curl that trusts our authority and finds every name here.
    pub(crate) async fn curl(&self, args: &[&str]) -> String {
        let output = self.try_curl(args).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn try_curl(&self, args: &[&str]) -> Output {
        curl(self.dir.path(), args).await
    }
}

async fn curl(dir: &Path, args: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.current_dir(dir)
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(["--cacert", "ca.pem"])
        .args(["--connect-to", "::127.0.0.1:"])
        .args(args);
    tokio::task::spawn_blocking(move || curl.output().unwrap())
        .await
        .unwrap()
}

pub(crate) fn record(name: &str, addresses: &[&str]) -> Record {
    Record {
        name: name.to_owned(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
    }
}

/// One answer header of `curl --include`, lower-cased name.
pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
}

/// The status of `curl --include`.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
