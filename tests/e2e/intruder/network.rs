//! Ports and sockets that are not for this service.

use std::{
    net::{SocketAddr, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as Name, UnixStream},
    },
    time::Duration,
};

use crate::{Attempt, Outcome, sys::any, targets::Targets};

pub const ATTEMPTS: &[&Attempt] = &[
    &Attempt {
        name: "ports_of_the_host_and_of_others",
        controlled: true,
        run: ports,
    },
    &Attempt {
        name: "an_abstract_socket_of_the_host",
        controlled: true,
        run: abstract_socket,
    },
];

fn ports(targets: &Targets) -> Outcome {
    let patience = Duration::from_millis(1500);
    any(targets.list("ports").map(|target| {
        let address: SocketAddr = target
            .parse()
            .map_err(|error| format!("{target}: {error}"))?;
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => Ok(format!("connected to {target}")),
            Err(error) => Err(format!("{target}: {error}")),
        }
    }))
}

fn abstract_socket(targets: &Targets) -> Outcome {
    let name = Name::from_abstract_name(targets.get("abstract")).expect("a short name");
    any([UnixStream::connect_addr(&name)
        .map(|_| "connected".to_owned())
        .map_err(|error| error.to_string())])
}
