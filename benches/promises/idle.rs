//! What the server costs while twenty services run and nobody does anything.

use std::{fs, time::Duration};

use crate::{
    memory, now, pass,
    processes::Process,
    samples::{load, tell, verdict},
    scratch::Scratch,
    server::Server,
    twenty::{SERVICES, removed, started},
    until::seconds,
};

/// Before it is looked at: what a start sets in motion is over.
const SETTLE: u64 = 30;
/// How long it is looked at: two of the half minutes after which supervisors look around.
const LOOK: u64 = 60;

pub(crate) fn measure(server: &Server, scratch: &Scratch) {
    println!(
        "\n{SERVICES} services idle, looked at for {LOOK} s; load {}",
        load()
    );
    let ids = started(server, scratch, "hello", seconds(120));
    pass(seconds(SETTLE));
    let parts = [
        ("heart", server.heart()),
        ("core", server.child("core")),
        ("edge", server.child("edge")),
    ];
    let cpu = |process: &Process| ran(process.pid);
    let before = parts.each_ref().map(|(_, process)| cpu(process));
    let began = now();
    pass(seconds(LOOK));
    let elapsed = now().duration_since(began);
    let mut sum = 0.0;
    for ((what, process), before) in parts.iter().zip(before) {
        let share = (cpu(process) - before).as_secs_f64() / elapsed.as_secs_f64() * 100.0;
        sum += share;
        let (rss, pss, own) = memory::of(process);
        tell(
            what,
            &format!(
                "{share:.3} % of a core; RSS {rss:.1} MB, PSS {pss:.1} MB, private dirty {own:.1} MB"
            ),
        );
    }
    verdict("heart, core and edge together", sum, 1.0, " % of a core");
    for (what, name) in [
        ("their agents", "coppice-agent"),
        ("their Node runtimes", "node"),
    ] {
        let all = ids.iter().flat_map(|id| server.processes(id));
        let (count, rss, pss) = all
            .filter(|process| process.name == name)
            .map(|process| memory::of(&process))
            .fold((0, 0.0, 0.0), |(count, rss, pss), one| {
                (count + 1, rss + one.0, pss + one.1)
            });
        tell(
            what,
            &format!("{count}: RSS {rss:.0} MB, PSS {pss:.0} MB in all"),
        );
    }
    tell("load after", &load());
    removed(server, &ids);
}

/// How long a process has had a processor, with its threads that have ended.
fn ran(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = [fields[11], fields[12]]
        .iter()
        .map(|one| one.parse::<u64>().unwrap())
        .sum();
    // The kernel tells of hundredths of a second, whatever it counts in itself.
    Duration::from_millis(ticks * 10)
}
