//! Heart, core or edge, as the first argument says; the tests start it as `heart`, and that starts
//! it as the other two.
//!
//! Each says on its standard output when something has happened, so that a test can wait for it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what goes wrong here must fail the test, loudly"
)]

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, UdpSocket},
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{ExitCode, exit},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use coppice_heart::{
    HeartConfig, HeartToCore, Listener, Proto,
    client::{Core, Edge, Event, Publish},
    run,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["heart", data, run_root, wait_ms, core] => heart(data, run_root, wait_ms, core),
        ["core", how] => core(how),
        ["edge"] => edge(),
        _ => panic!("{arguments:?}"),
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

fn heart(data: &str, run_root: &str, wait_ms: &str, core: &str) -> ExitCode {
    let me: OsString = std::env::current_exe().unwrap().into();
    let mut config = HeartConfig::new(
        data.into(),
        vec![me.clone(), "core".into(), core.into()],
        vec![me, "edge".into()],
    );
    config.run_root = run_root.into();
    config.lock_wait = Duration::from_millis(wait_ms.parse().unwrap());
    config.edge_uid = nix::unistd::geteuid().as_raw();
    match run(&config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The descriptors of this process besides the standard three, by what they are.
fn descriptors() -> String {
    let mut kinds: Vec<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let kind = target.to_str()?.split(':').next()?.to_owned();
            (number > 2 && !kind.starts_with("/proc/")).then_some(kind)
        })
        .collect();
    kinds.sort();
    kinds.join(",")
}

/// Answers commands on the API socket: `pid`, `fds`, `publish`, `answer`, `stop`.
fn core(how: &str) -> ExitCode {
    let fds = descriptors();
    match how {
        "crash" => {
            say(&format!("core {}", std::process::id()));
            return ExitCode::from(3);
        }
        "babble" => {
            let number = std::env::var("COPPICE_CONTROL_FD").unwrap();
            // SAFETY: inherited from the heart for us, and used here only.
            let mut control = unsafe { UnixStream::from_raw_fd(number.parse().unwrap()) };
            control.write_all(&u32::MAX.to_be_bytes()).unwrap();
            say(&format!("core {}", std::process::id()));
            // The heart kills us for that, unless it ends first itself.
            while control.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let deaf = how == "deaf";
    let core = Core::from_env().unwrap();
    let (sender, answers) = mpsc::channel();
    let link = core
        .heart
        .listen(move |event: Event<HeartToCore>| match event {
            Event::Message(answer) => sender.send(answer).unwrap(),
            Event::HeartGone if deaf => say("core stays"),
            Event::HeartGone => exit(0),
        })
        .unwrap();
    link.ready();
    say(&format!("core {}", std::process::id()));
    if how == "stop" {
        link.stop();
        // The message leaves on the link's thread; the heart's SIGTERM ends this process.
        loop {
            thread::park();
        }
    }
    core.api.set_nonblocking(false).unwrap();
    for stream in core.api.incoming() {
        let stream = stream.unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["pid"] => std::process::id().to_string(),
            ["fds"] => fds.clone(),
            ["stop"] => {
                link.stop();
                String::new()
            }
            ["answer"] => failed(&answers),
            ["publish", generation, ref listeners @ ..] => {
                let listeners = listeners.iter().copied().map(listener).collect();
                let generation: u64 = generation.parse().unwrap();
                link.publish(listeners, &generation).unwrap();
                failed(&answers)
            }
            _ => panic!("{line}"),
        };
        reply(stream, &answer);
    }
    ExitCode::SUCCESS
}

fn failed(answers: &mpsc::Receiver<HeartToCore>) -> String {
    let HeartToCore::Listeners { failed } = answers.recv().unwrap();
    let failed: Vec<_> = failed
        .iter()
        .map(|failed| format!("{}: {}", failed.id, failed.error))
        .collect();
    failed.join("; ")
}

fn listener(text: &str) -> Listener {
    let mut parts = text.splitn(3, ',');
    Listener {
        id: parts.next().unwrap().to_owned(),
        proto: match parts.next().unwrap() {
            "tcp" => Proto::Tcp,
            _ => Proto::Udp,
        },
        addr: parts.next().unwrap().parse().unwrap(),
    }
}

fn reply(mut stream: UnixStream, answer: &str) {
    // The test may have given up on the answer, having failed.
    let _ = writeln!(stream, "{answer}");
}

/// Answers everything on every socket with `<pid> <generation> <descriptors at start>`.
fn edge() -> ExitCode {
    let fds = descriptors();
    let edge = Edge::from_env().unwrap();
    assert!(edge.api_socket.ends_with("edge.sock"));
    let (sender, events) = mpsc::channel();
    let link = edge
        .heart
        .listen(move |event: Event<Publish>| sender.send(event).unwrap())
        .unwrap();
    link.ready();
    let generation = Arc::new(AtomicU64::new(0));
    let mut served: HashMap<String, ()> = HashMap::new();
    while let Ok(Event::Message(publish)) = events.recv() {
        generation.store(publish.table.get().parse().unwrap(), Ordering::SeqCst);
        served.retain(|id, ()| publish.listeners.iter().any(|(one, _)| one.id == *id));
        let count = publish.listeners.len();
        for (listener, socket) in publish.listeners {
            if served.insert(listener.id.clone(), ()).is_none() {
                let (generation, fds) = (generation.clone(), fds.clone());
                thread::spawn(move || serve(listener.proto, socket, &generation, &fds));
            }
        }
        say(&format!(
            "edge {} {} {count}",
            std::process::id(),
            generation.load(Ordering::SeqCst)
        ));
    }
    ExitCode::SUCCESS
}

fn serve(proto: Proto, socket: OwnedFd, generation: &AtomicU64, fds: &str) {
    let line = || {
        let generation = generation.load(Ordering::SeqCst);
        format!("{} {generation} {fds}\n", std::process::id())
    };
    match proto {
        Proto::Tcp => {
            let listener = TcpListener::from(socket);
            listener.set_nonblocking(false).unwrap();
            for stream in listener.incoming() {
                // A peer that has already gone gets no answer.
                let _ = stream.unwrap().write_all(line().as_bytes());
            }
        }
        Proto::Udp => {
            let socket = UdpSocket::from(socket);
            socket.set_nonblocking(false).unwrap();
            loop {
                let (_, peer) = socket.recv_from(&mut [0; 16]).unwrap();
                socket.send_to(line().as_bytes(), peer).unwrap();
            }
        }
    }
}
