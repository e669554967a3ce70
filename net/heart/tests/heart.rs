//! The heart with real processes that are really killed.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests do; clippy knows the tests only"
)]

#[path = "support/house.rs"]
mod house;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
    process::Stdio,
    time::Duration,
};

use coppice_clock::Mono;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use house::{House, PATIENCE, connect, free_port, murder, own_address, served_by, tcp};

#[test]
fn a_first_start_makes_a_private_data_folder_and_sockets_for_their_owners_only() {
    let house = House::new();
    let mut heart = house.start();
    let layout = heart.layout().clone();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&layout.data), 0o700);
    assert_eq!(
        fs::read_to_string(layout.data.join("VERSION")).unwrap(),
        "1\n"
    );
    assert_eq!(mode(&layout.run), 0o711);
    for socket in [layout.api_socket(), layout.edge_socket()] {
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
        assert_eq!(mode(&socket), 0o600);
    }
    assert_eq!(
        fs::read_link(layout.run.join("data-dir")).unwrap(),
        layout.data
    );
}

#[test]
fn a_killed_edge_is_replaced_and_connections_made_meanwhile_are_served() {
    let house = House::new();
    let mut heart = house.start();
    let port = free_port();
    let first = heart.publish(7, &[tcp("web", port)]);
    assert_eq!(served_by(connect(port)), (first, 7));
    // The heart sleeps, so that there surely is no edge when we connect.
    heart.signal(Signal::SIGSTOP);
    murder(first);
    let waiting: Vec<_> = (0..20).map(|_| connect(port)).collect();
    heart.signal(Signal::SIGCONT);
    let second = heart.edge_with(7);
    assert_ne!(first, second);
    for stream in waiting {
        assert_eq!(served_by(stream), (second, 7));
    }
}

#[test]
fn a_killed_edge_is_replaced_while_there_is_no_core() {
    let house = House::new();
    let mut heart = house.start();
    let port = free_port();
    let edge = heart.publish(1, &[tcp("web", port)]);
    let core = heart.core_pid();
    kill(Pid::from_raw(core), Signal::SIGSTOP).unwrap();
    murder(edge);
    let next = heart.edge_with(1);
    assert_eq!(served_by(connect(port)), (next, 1));
    kill(Pid::from_raw(core), Signal::SIGCONT).unwrap();
}

#[test]
fn a_killed_core_is_replaced_requests_wait_for_it_and_the_edge_does_not_notice() {
    let house = House::new();
    let mut heart = house.start();
    let port = free_port();
    let edge = heart.publish(1, &[tcp("web", port)]);
    let first = heart.core_pid();
    heart.signal(Signal::SIGSTOP);
    murder(first);
    let mut request = UnixStream::connect(heart.layout().api_socket()).unwrap();
    request.write_all(b"pid\n").unwrap();
    assert_eq!(served_by(connect(port)), (edge, 1));
    heart.signal(Signal::SIGCONT);
    let second: i32 = heart.line("core ")[1].parse().unwrap();
    assert_ne!(first, second);
    let mut answer = String::new();
    BufReader::new(request).read_line(&mut answer).unwrap();
    assert_eq!(answer.trim_end(), second.to_string());
    // The new core's first publish keeps the sockets.
    assert_eq!(heart.publish(2, &[tcp("web", port)]), edge);
    assert_eq!(served_by(connect(port)), (edge, 2));
}

#[test]
fn when_the_heart_is_killed_its_children_end_within_a_second_and_the_next_one_serves_again() {
    let house = House::new();
    let mut first = house.start();
    let port = free_port();
    first.publish(1, &[tcp("web", port)]);
    murder(first.pid());
    first.all_end_within(Duration::from_secs(1));
    let id = first.layout().id.clone();
    let mut second = house.start();
    assert_eq!(second.layout().id, id);
    let edge = second.publish(2, &[tcp("web", port)]);
    assert_eq!(served_by(connect(port)), (edge, 2));
}

#[test]
fn a_core_that_outlives_its_heart_is_killed_before_there_is_another() {
    let house = House::new();
    let mut first = house.start_as("deaf");
    let old: i32 = first.line("core ")[1].parse().unwrap();
    murder(first.pid());
    first.line("core stays");
    let mut second = house.start();
    assert_ne!(second.core_pid(), old);
    assert!(!Path::new(&format!("/proc/{old}/exe")).exists());
}

#[test]
fn a_second_heart_on_the_same_folder_is_refused_with_the_pid_of_the_first() {
    let house = House::new();
    let mut heart = house.start();
    let refusal = house.refusal(&house.data());
    assert!(
        refusal.contains(&format!("in use by process {};", heart.pid())),
        "{refusal}"
    );
    heart.core_pid();
}

#[test]
fn a_copy_of_a_running_data_folder_is_refused() {
    let house = House::new();
    let _heart = house.start();
    let copy = house.dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["VERSION", "id"] {
        fs::copy(house.data().join(name), copy.join(name)).unwrap();
    }
    let refusal = house.refusal(&copy);
    assert!(
        refusal.contains("delete the file `id` of the copy"),
        "{refusal}"
    );
}

#[test]
fn a_folder_of_a_newer_version_is_refused() {
    let house = House::new();
    fs::create_dir(house.data()).unwrap();
    fs::write(house.data().join("VERSION"), "99\n").unwrap();
    let refusal = house.refusal(&house.data());
    assert!(refusal.contains("has version 99"), "{refusal}");
}

#[test]
fn a_port_in_use_is_reported_the_others_open_and_it_follows_once_it_is_free() {
    let house = House::new();
    let mut heart = house.start();
    let taken = TcpListener::bind((own_address(), 0)).unwrap();
    let taken_port = taken.local_addr().unwrap();
    let port = free_port();
    let listeners = format!("{} {}", tcp("web", taken_port), tcp("alt", port));
    let failed = heart.ask(&format!("publish 1 {listeners}"));
    assert_eq!(
        failed,
        format!("web: {taken_port} is in use by another program")
    );
    let edge = heart.edge_with(1);
    assert_eq!(served_by(connect(port)), (edge, 1));
    drop(taken);
    assert_eq!(heart.ask("answer"), "");
    assert_eq!(heart.edge_with(1), edge);
    assert_eq!(served_by(connect(taken_port)), (edge, 1));
}

#[test]
fn what_is_no_longer_published_is_closed_and_what_stays_never_refuses() {
    let house = House::new();
    let mut heart = house.start();
    let (stays, goes) = (free_port(), free_port());
    let edge = heart.publish(1, &[tcp("stays", stays), tcp("goes", goes)]);
    // Meanwhile closed in the heart, but the old edge had it too: only a new edge is without.
    heart.publish(2, &[tcp("stays", stays)]);
    murder(edge);
    let edge = heart.edge_with(2);
    assert_eq!(served_by(connect(stays)), (edge, 2));
    assert!(TcpStream::connect(goes).is_err());
}

#[test]
fn datagrams_and_v6_are_served_too() {
    let house = House::new();
    let mut heart = house.start();
    let port = free_port();
    // v6 has one loopback address only; the port is one that v4 has just been given.
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port.port()));
    let edge = heart.publish(
        3,
        &[
            tcp("v4", port),
            format!("v6,tcp,{v6}"),
            format!("dns,udp,{port}"),
        ],
    );
    assert_eq!(served_by(connect(v6)), (edge, 3));
    let socket = UdpSocket::bind((own_address(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"?", port).unwrap();
    let mut answer = [0; 128];
    let length = socket.recv(&mut answer).unwrap();
    assert!(answer[..length].starts_with(format!("{edge} 3 ").as_bytes()));
}

#[test]
fn children_inherit_what_is_meant_for_them_and_nothing_else() {
    let house = House::new();
    let mut heart = house.start();
    // Control, lifeline, and the core's two listening sockets.
    assert_eq!(heart.ask("fds"), "pipe,socket,socket,socket");
    let port = free_port();
    heart.publish(1, &[tcp("web", port)]);
    let mut answer = String::new();
    connect(port).read_to_string(&mut answer).unwrap();
    assert_eq!(
        answer.trim_end().split(' ').next_back(),
        Some("pipe,socket")
    );
}

#[test]
fn a_core_that_says_stop_ends_everything_and_the_sockets_go() {
    let house = House::new();
    let mut heart = house.start();
    let layout = heart.layout().clone();
    heart.ask("stop");
    assert!(heart.ended().success());
    assert!(!layout.api_socket().exists() && !layout.edge_socket().exists());
    assert!(layout.data.join("id").exists());
}

#[test]
fn a_stop_said_at_the_first_moment_is_heard() {
    let house = House::new();
    assert!(house.start_as("stop").ended().success());
}

#[test]
fn sigterm_ends_core_and_edge_and_says_that_the_services_stay() {
    let house = House::new();
    let mut process = house
        .command(&house.data(), 10_000, "ok")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("core ") {
        line.clear();
        out.read_line(&mut line).unwrap();
    }
    kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut said = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(process.wait().unwrap().success());
    assert!(said.contains("the services go on running"), "{said}");
}

#[test]
fn a_core_that_crashes_again_and_again_is_started_less_and_less_often_and_the_edge_stays() {
    let house = House::new();
    let mut heart = house.start_as("crash");
    let before = Mono::now();
    for _ in 0..5 {
        heart.line("core ");
    }
    // Waits of 0, 100, 200 and 400 ms lie between five starts.
    assert!(Mono::now().since(before) >= Duration::from_millis(600));
}

#[test]
fn a_core_that_breaks_the_protocol_is_killed_and_started_again() {
    let house = House::new();
    let mut heart = house.start_as("babble");
    let first = heart.line("core ");
    let second = heart.line("core ");
    assert_ne!(first, second);
    assert!(heart.process.try_wait().unwrap().is_none());
}
