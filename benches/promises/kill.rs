//! The first kill of hello's daemon, which its package declares and Coppice runs: from its death to its new process.
//!
//! Coppice waits before it starts a daemon again that has just been started again, not at all after the
//! first death: so each run of the service has one kill.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use crate::{
    api::Api,
    now,
    processes::{Process, cgroups_named, in_cgroup},
    samples::{Samples, load, millis, tell, verdict},
    server::Server,
    start::{start, stop},
};

/// The daemon, as the kernel calls it, and as the records do.
const DAEMON: &str = "hello";
const RECORDED: &str = "daemon server";
/// How often the service's processes are looked at.
const LOOK_EVERY: Duration = Duration::from_micros(300);

pub(crate) fn measure(server: &Server, kills: usize) {
    println!(
        "\nfirst kill of hello's daemon, {kills} kills; load {}",
        load()
    );
    let api = Api::of(server);
    let mut back = Samples::default();
    let mut named = 0;
    stop(&api, server);
    for _ in 0..kills {
        start(&api);
        let before = server.last_restart("hello");
        let old = server.process("hello", DAEMON);
        let group = group_of(server, old.pid);
        let began = now();
        old.shoot();
        let new = await_new(&group, &old);
        back.push(now().duration_since(began));
        assert_ne!(new.pid, old.pid);
        named += usize::from(names_the_signal(&server.new_restart(
            "hello",
            "daemon server",
            &before,
        )));
        stop(&api, server);
    }
    tell(
        "death to new process, median (least to most)",
        &back.words(),
    );
    tell(
        "p50, p99",
        &format!(
            "{} ms, {} ms",
            millis(back.percentile(50)),
            millis(back.percentile(99))
        ),
    );
    let worst = back.percentile(99).as_secs_f64() * 1000.0;
    verdict("p99", worst, 100.0, " ms");
    tell(
        "restart records that name the daemon and signal 9",
        &format!("{named} of {}", back.count()),
    );
    tell("load after", &load());
}

fn names_the_signal(record: &Value) -> bool {
    record["what"] == RECORDED
        && record["cause"]["kind"] == "signal"
        && record["cause"]["signal"] == 9
}

/// The service's cgroup in one hierarchy that has the process.
fn group_of(server: &Server, pid: i32) -> PathBuf {
    let groups = cgroups_named(|name| name == format!("coppice-{}", server.short));
    let mut own = groups.into_iter().map(|group| group.join("hello"));
    own.find(|group| in_cgroup(group).contains(&pid))
        .expect("the daemon is in its service's cgroup")
}

fn await_new(group: &std::path::Path, old: &Process) -> Process {
    loop {
        let living = in_cgroup(group)
            .into_iter()
            .filter(|pid| *pid != old.pid)
            .filter_map(Process::of);
        // By its name: before that it is the `start-container` that will become it.
        if let Some(new) = living.into_iter().find(|process| process.name == DAEMON) {
            return new;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the kernel tells nobody of a new process in a cgroup of version 1"
        )]
        std::thread::sleep(LOOK_EVERY);
    }
}
