//! What twenty services hold whose JavaScript sleeps.

use std::fs;

use nix::sys::signal::Signal;

use crate::{
    clones::renamed,
    memory,
    samples::{load, tell, verdict},
    scratch::Scratch,
    server::Server,
    start::example_file,
    until::{seconds, until},
};

const SERVICES: usize = 20;
/// The server's is a minute; what is held is the same.
const QUIET: u32 = 5;

pub(crate) fn measure(server: &mut Server, scratch: &Scratch) {
    println!("\n{SERVICES} services asleep; load {}", load());
    server.signal(Signal::SIGINT);
    server.ended(seconds(30));
    server.sleep_after = QUIET;
    server.start();
    let ids: Vec<String> = (0..SERVICES)
        .map(|number| format!("asleep-{number}"))
        .collect();
    let file = scratch.path("asleep.s9pk");
    for id in &ids {
        fs::write(&file, renamed(&example_file("hello"), id)).unwrap();
        server.cli(&["package", "install", file.to_str().unwrap()]);
        server.cli(&["service", "start", id]);
    }
    until("all of them sleep", seconds(300), || {
        let sleeps = |id: &String| {
            let status = server.json(&["service", "status", id]);
            let all = server.processes(id);
            status["entry"]["asleep"].is_object()
                && !all.iter().any(|process| process.name == "node")
        };
        ids.iter().all(sleeps).then_some(())
    });
    let (mut ours, mut daemons) = ((0.0, 0.0), (0.0, 0.0));
    for process in ids.iter().flat_map(|id| server.processes(id)) {
        let (rss, pss, _) = memory::of(&process);
        let sum = if process.name == "hello" {
            &mut daemons
        } else {
            &mut ours
        };
        *sum = (sum.0 + rss, sum.1 + pss);
    }
    for (what, (rss, pss)) in [
        ("agents, and what they hold ready", ours),
        ("their daemons", daemons),
    ] {
        tell(what, &format!("RSS {rss:.1} MB, PSS {pss:.1} MB in all"));
    }
    verdict(
        "PSS of one that sleeps, but for its daemon",
        ours.1 / SERVICES as f64,
        8.0,
        " MB",
    );
    tell("load after", &load());
    for id in &ids {
        server.cli(&["package", "uninstall", id]);
    }
}
