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
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{ExitCode, exit},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use coppice_heart::{
    FailedListener, HeartConfig, HeartToCore, HeartToEdge, Listener, Proto, UpgradeRequest,
    client::{Core, Edge, Event},
    run,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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

/// The name of the file that this process runs. Newer puppets are copies of this program; their names say what is wrong
/// with them.
fn called() -> String {
    let program = std::env::current_exe().unwrap();
    program.file_name().unwrap().to_str().unwrap().to_owned()
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

fn heart(data: &str, run_root: &str, wait_ms: &str, core: &str) -> ExitCode {
    let mut config = HeartConfig::new(
        data.into(),
        vec!["core".into(), core.into()],
        vec!["edge".into()],
    );
    if let Ok(millis) = std::env::var("PUPPET_READY_WITHIN_MS") {
        config.ready_within = Duration::from_millis(millis.parse().unwrap());
    }
    say(&format!("heart {} {}", std::process::id(), called()));
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
            // Said first: the heart kills us for the next line, as soon as it has read it, unless it ends first itself.
            say(&format!("core {}", std::process::id()));
            control.write_all(&u32::MAX.to_be_bytes()).unwrap();
            while control.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let called = called();
    match called.as_str() {
        "core-exits" => return ExitCode::from(4),
        "core-spoils-the-store" => {
            let data = std::env::var("COPPICE_DATA_DIR").unwrap();
            fs::write(format!("{data}/state/document"), "newer").unwrap();
            fs::write(format!("{data}/VERSION"), "99\n").unwrap();
            return ExitCode::from(5);
        }
        _ => {}
    }
    let deaf = how == "deaf";
    let core = Core::from_env().unwrap();
    let (sender, answers) = mpsc::channel();
    let link = core
        .heart
        .listen(move |event: Event<HeartToCore>| match event {
            Event::Message(HeartToCore::Listeners { failed }) => sender.send(failed).unwrap(),
            Event::Message(HeartToCore::Retire) => exit(0),
            Event::Message(HeartToCore::Upgraded(outcome)) => {
                let problem = outcome.problem.unwrap_or_else(|| "well".to_owned());
                say(&format!("upgraded {}: {problem}", outcome.request.attempt));
            }
            Event::HeartGone if deaf => say("core stays"),
            Event::HeartGone => exit(0),
        })
        .unwrap();
    if called == "core-complains" {
        link.last_words("there is no water".to_owned());
        return ExitCode::from(7);
    }
    if called == "core-waits" {
        say("waiting");
        let data = std::env::var("COPPICE_DATA_DIR").unwrap();
        while !fs::exists(format!("{data}/go")).unwrap() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    if called == "core-hangs" {
        say(&format!("hanging {}", std::process::id()));
        loop {
            thread::park();
        }
    }
    link.ready();
    say(&format!("core {} {called}", std::process::id()));
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
            ["alive"] => {
                link.alive();
                String::new()
            }
            ["upgrade", attempt, program] => {
                link.upgrade(UpgradeRequest {
                    attempt: attempt.to_owned(),
                    program: program.into(),
                });
                String::new()
            }
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

fn failed(answers: &mpsc::Receiver<Vec<FailedListener>>) -> String {
    let failed = answers.recv().unwrap();
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
    let called = called();
    match called.as_str() {
        "edge-exits" => return ExitCode::from(6),
        "edge-hangs" => {
            say("edge-hanging");
            loop {
                thread::park();
            }
        }
        _ => {}
    }
    let edge = Edge::from_env().unwrap();
    assert!(edge.api_socket.ends_with("edge.sock"));
    let (sender, events) = mpsc::channel();
    let link = edge
        .heart
        .listen(move |event: Event<HeartToEdge>| sender.send(event).unwrap())
        .unwrap();
    let generation = Arc::new(AtomicU64::new(0));
    let mut served: HashMap<String, ()> = HashMap::new();
    let retired = Arc::new(AtomicBool::new(false));
    let mut serving = Vec::new();
    while let Ok(Event::Message(HeartToEdge::Publish(publish))) = events.recv() {
        generation.store(publish.table.get().parse().unwrap(), Ordering::SeqCst);
        served.retain(|id, ()| publish.listeners.iter().any(|(one, _)| one.id == *id));
        let count = publish.listeners.len();
        for (listener, socket) in publish.listeners {
            if served.insert(listener.id.clone(), ()).is_none() {
                let (generation, fds) = (generation.clone(), fds.clone());
                let retired = retired.clone();
                serving.push(thread::spawn(move || {
                    serve(listener.proto, socket, &generation, &fds, &retired);
                }));
            }
        }
        say(&format!(
            "edge {} {} {count} {called}",
            std::process::id(),
            generation.load(Ordering::SeqCst)
        ));
        link.ready();
    }
    // Whoever was accepted gets an answer.
    retired.store(true, Ordering::SeqCst);
    for thread in serving {
        thread.join().unwrap();
    }
    ExitCode::SUCCESS
}

fn serve(proto: Proto, socket: OwnedFd, generation: &AtomicU64, fds: &str, retired: &AtomicBool) {
    let line = || {
        let generation = generation.load(Ordering::SeqCst);
        format!("{} {generation} {fds}\n", std::process::id())
    };
    let waits = || {
        while !retired.load(Ordering::SeqCst) {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::from(20_u8)).unwrap() > 0 {
                return true;
            }
        }
        false
    };
    match proto {
        Proto::Tcp => {
            let listener = TcpListener::from(socket.try_clone().unwrap());
            while waits() {
                // Another edge may have been faster, and a peer that has already gone gets no answer.
                if let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.write_all(line().as_bytes());
                }
            }
        }
        Proto::Udp => {
            let socket = UdpSocket::from(socket.try_clone().unwrap());
            while waits() {
                if let Ok((_, peer)) = socket.recv_from(&mut [0; 16]) {
                    socket.send_to(line().as_bytes(), peer).unwrap();
                }
            }
        }
    }
}
