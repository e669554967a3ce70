//! What twenty services hold that do nothing: their agents, and Node, awake and asleep.

use nix::sys::signal::Signal;

use crate::{
    memory, pass,
    samples::{load, tell, verdict},
    scratch::Scratch,
    server::Server,
    twenty::{SERVICES, removed, started},
    until::{seconds, until},
};

/// The server's is a minute; what is held is the same.
const QUIET: u32 = 5;
/// How long one has nothing to do before it is looked at: what a start sets in motion is over.
const IDLE: u64 = 10;

pub(crate) fn measure(server: &mut Server, scratch: &Scratch) {
    // One of our SDK, and one of StartOS's, with its 2.6 MB of JavaScript.
    let [_, of_startos] = ["hello", "syncthing"].map(|package| {
        println!("\n{SERVICES} {package}s awake; load {}", load());
        let ids = started(server, scratch, package, seconds(300));
        pass(seconds(IDLE));
        let each = told(server, &ids);
        removed(server, &ids);
        each
    });
    verdict(
        "Node and agent of one of StartOS's SDK",
        of_startos,
        45.0,
        " MB",
    );

    println!("\n{SERVICES} hellos asleep; load {}", load());
    server.signal(Signal::SIGINT);
    server.ended(seconds(30));
    server.sleep_after = QUIET;
    server.start();
    let ids = started(server, scratch, "hello", seconds(300));
    until("all of them sleep", seconds(300), || {
        let sleeps = |id: &String| {
            let status = server.json(&["service", "status", id]);
            let all = server.processes(id);
            status["entry"]["asleep"].is_object()
                && !all.iter().any(|process| process.name == "node")
        };
        ids.iter().all(sleeps).then_some(())
    });
    let asleep = told(server, &ids);
    verdict("one that sleeps, but for its daemon", asleep, 8.0, " MB");
    tell("load after", &load());
    removed(server, &ids);
}

/// Tells what they hold by kind of process; gives the PSS of each service's agents and Node, in MB.
fn told(server: &Server, ids: &[String]) -> f64 {
    let processes: Vec<_> = ids.iter().flat_map(|id| server.processes(id)).collect();
    let kinds = ["coppice-agent", "node"].map(|name| {
        let held = processes.iter().filter(|process| process.name == name);
        let held: Vec<_> = held.map(memory::of).collect();
        let of_each =
            |one: fn(&(f64, f64, f64)) -> f64| held.iter().map(one).sum::<f64>() / ids.len() as f64;
        let pss = of_each(|held| held.1);
        let (rss, own) = (of_each(|held| held.0), of_each(|held| held.2));
        tell(
            &format!("{name}, {} processes", held.len()),
            &format!(
                "for each service RSS {rss:.1} MB, PSS {pss:.1} MB, private dirty {own:.1} MB"
            ),
        );
        pss
    });
    kinds.iter().sum()
}
