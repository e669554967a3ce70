//! The network of the run: the server's machine, and another machine on the same cable.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Output},
    time::Duration,
};

use nix::sched::{CloneFlags, setns};

use crate::console::run;

/// The server, as others on the network know it.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

const NEIGHBOUR: &str = "neighbour";

/// Makes the cable and the other machine. `/run` is our own, so its name is, too.
pub(crate) fn make() {
    let ip = |arguments: &str| {
        run("ip", &arguments.split(' ').collect::<Vec<_>>());
    };
    ip("link set lo up");
    ip(&format!("netns add {NEIGHBOUR}"));
    ip(&format!(
        "link add lan0 type veth peer name lan0 netns {NEIGHBOUR}"
    ));
    ip(&format!("addr add {SERVER}/24 dev lan0"));
    ip("link set lan0 up");
    ip(&format!("-n {NEIGHBOUR} addr add 192.168.77.2/24 dev lan0"));
    ip(&format!("-n {NEIGHBOUR} link set lo up"));
    ip(&format!("-n {NEIGHBOUR} link set lan0 up"));
    ip("route add default via 192.168.77.2");
}

/// Does something on the neighbour's machine: sockets made and programs started there stay there.
pub(crate) fn at_neighbours<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{NEIGHBOUR}")).unwrap();
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        });
        match there.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs a program on the neighbour's machine.
pub(crate) fn neighbour_runs(program: &str, arguments: &[&str]) -> Output {
    at_neighbours(|| Command::new(program).args(arguments).output().unwrap())
}

/// Connects from the neighbour's machine.
pub(crate) fn connect(to: SocketAddr, within: Duration) -> std::io::Result<TcpStream> {
    at_neighbours(|| TcpStream::connect_timeout(&to, within))
}
