//! `subcontainer launch`: the leader of a subcontainer, and what ends with it.

use std::{path::PathBuf, time::Duration};

use coppice_clock::Mono;
use coppice_wire::agent::ProcessKind;
use serde_json::{Value, json};

use crate::{
    EXEC, LAUNCH,
    container::{Container, host::PATIENCE},
};

#[test]
fn proc_of_a_new_root_appears_quickly_even_with_twenty_at_once() {
    let mut container = Container::start();
    let roots: Vec<String> = (0..21)
        .map(|n| container.root_only(&format!("r{n}")))
        .collect();
    let seen = |root: &String| {
        PathBuf::from(format!(
            "/proc/{}/root{root}/proc/1",
            container.link.agent_pid()
        ))
    };
    let seen: Vec<PathBuf> = roots.iter().map(seen).collect();
    let mut launch = |from: usize, to: usize| {
        let begun = Mono::now();
        for (n, root) in roots.iter().enumerate().take(to).skip(from) {
            let mut spawn = Container::shell(&format!("launch-{n}"), Some(1), "");
            spawn.argv = vec![
                "/usr/bin/start-container".into(),
                "subcontainer".into(),
                "launch".into(),
                root.clone(),
            ];
            container.link.ask_only("spawn", spawn);
        }
        while !seen[from..to].iter().all(|path| path.exists()) {
            let waited = Mono::now().since(begun);
            assert!(waited < PATIENCE, "no /proc after {waited:?}");
        }
        Mono::now().since(begun)
    };
    let (one, twenty) = (launch(0, 1), launch(1, 21));
    println!("/proc/1 after {one:?} for one, {twenty:?} for twenty");
    // 50 and 100 ms on an idle machine; this machine may be busy with other tests.
    assert!(
        one < Duration::from_millis(500) && twenty < Duration::from_secs(2),
        "{one:?}, {twenty:?}"
    );
}

#[test]
fn a_leader_without_a_command_ends_on_sigterm_and_takes_its_proc_along() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let begun = Mono::now();
    container
        .link
        .ask(
            "signal",
            json!({ "id": "launch-a", "signal": libc::SIGTERM }),
        )
        .unwrap();
    assert_eq!(container.link.exited("launch-a").code, Some(0));
    assert!(Mono::now().since(begun) < Duration::from_secs(1));
    assert_eq!(container.run_ok(&format!("ls {root}/proc")), "");
}

#[test]
fn a_leader_reaps_the_orphans_of_its_subcontainer() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container.run_ok(&format!(
        "{EXEC} {root} sh -c '(sleep 0.02 &); (sleep 0.02 &)'"
    ));
    container.run_ok(&format!(
        "until [ $(ls -d {root}/proc/[0-9]* | wc -l) = 1 ]; do :; done"
    ));
}

#[test]
fn a_command_may_be_the_leader_itself() {
    let mut container = Container::start();
    let root = container.root_only("a");
    let launch = format!(
        "exec {LAUNCH} --user=www-data {root} sh -c 'trap \"exit 9\" TERM; echo $$ $(id -u); while :; do sleep 0.01; done'"
    );
    container
        .link
        .ask("spawn", Container::shell("one", Some(1), &launch))
        .unwrap();
    container.wait_for_log(|line| line.src == "runtime" && line.line == "1 33");
    assert_eq!(
        container.run_ok(&format!("{EXEC} {root} cat /proc/1/comm")),
        "sh"
    );
    container
        .link
        .ask("signal", json!({ "id": "one", "signal": libc::SIGTERM }))
        .unwrap();
    assert_eq!(container.link.exited("one").code, Some(9));
}

#[test]
fn a_second_launch_replaces_the_first_with_everything_in_it() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container
        .link
        .ask(
            "spawn",
            Container::shell("sleeper", None, &format!("{EXEC} {root} sleep 1236")),
        )
        .unwrap();
    container.run_ok("until pgrep -fx 'sleep 1236'; do :; done");
    container
        .link
        .ask(
            "spawn",
            Container::shell("again", Some(1), &format!("exec {LAUNCH} {root}")),
        )
        .unwrap();
    assert_eq!(container.link.exited("launch-a").code, Some(1));
    assert_eq!(container.link.exited("sleeper").code, Some(1));
    container.run_ok(&format!(
        "until [ -d {root}/proc/1 ]; do :; done; {EXEC} {root} true"
    ));
    assert_eq!(
        container.run_ok(&format!("grep -c {root}/proc /proc/self/mountinfo")),
        "1"
    );
}

#[test]
fn launches_and_execs_are_reported_with_their_generation_and_leaf() {
    let mut container = Container::start();
    let root = container.root_only("guid-1");
    let script = format!(
        "{LAUNCH} {root} & until [ -d {root}/proc/1 ]; do :; done
         {EXEC} --env=A=1 {root} sh -c 'exit 4'; {EXEC} {root} sleep 1237"
    );
    container
        .link
        .ask("spawn", Container::shell("runtime", Some(5), &script))
        .unwrap();
    let leader = container
        .link
        .started(|started| started.kind == ProcessKind::Leader);
    assert_eq!(
        (leader.generation, leader.leaf.as_str()),
        (Some(5), "d-guid-1-5")
    );
    assert_eq!(
        (leader.root.as_deref(), leader.argv.len()),
        (Some("guid-1"), 0)
    );
    let exec = container
        .link
        .started(|started| started.kind == ProcessKind::Exec);
    assert_eq!(exec.argv, ["sh", "-c", "exit 4"]);
    assert_eq!(container.link.exited(&exec.id).code, Some(4));
    let sleep = container
        .link
        .started(|started| started.argv == ["sleep", "1237"]);
    assert_eq!(sleep.leaf, "d-guid-1-5");
    let pid = container
        .run_ok("until pgrep -fx 'sleep 1237'; do :; done")
        .lines()
        .last()
        .unwrap()
        .to_owned();
    assert_eq!(pid, sleep.pid.to_string());
    let leaf = container.run_ok(&format!("cut -d: -f3 /proc/{pid}/cgroup | sort -u"));
    assert!(["/d-guid-1-5", ""].contains(&leaf.as_str()), "{leaf}");
    // A killed CLI reports nothing: the agent sees its connection end.
    container.run_ok("pkill -KILL -f '^/usr/bin/start-container subcontainer exec .* sleep 1237'");
    let exited = container.link.exited(&sleep.id);
    assert_eq!((exited.code, exited.signal), (None, Some(9)));
}

#[test]
fn a_killed_generation_takes_its_subcontainers_along() {
    let mut container = Container::start();
    let root = container.root_only("a");
    let script = format!(
        "{LAUNCH} {root} & until [ -d {root}/proc/1 ]; do :; done
         {EXEC} --user=www-data {root} sh -c 'setsid sleep 1238 & sleep 1239' & wait"
    );
    container
        .link
        .ask("spawn", Container::shell("runtime", Some(1), &script))
        .unwrap();
    container.run_ok("until pgrep -fx 'sleep 1238' && pgrep -fx 'sleep 1239'; do :; done");
    // Node dies first, as when someone shoots it: what it started stays until the generation is killed.
    container
        .link
        .ask("signal", json!({ "id": "runtime", "signal": 9 }))
        .unwrap();
    container.link.exited("runtime");
    container.run_ok("pgrep -fx 'sleep 1238'");
    container
        .link
        .ask("kill-generation", json!({ "generation": 1 }))
        .unwrap();
    container.run_ok("! pgrep -fx 'sleep 123[89]'; ! pgrep -f '^/usr/bin/start-container'");
    let list = container.link.ask("list", Value::Null).unwrap();
    assert_eq!(list["processes"], json!([]));
    container.run_ok("! ls -d /sys/fs/cgroup/d-a-1 /sys/fs/cgroup/*/d-a-1");
}

#[test]
fn a_shutdown_lets_commands_end_before_their_leaders_take_them_along() {
    let mut container = Container::start();
    let (root, own) = (container.root_only("a"), container.root_only("b"));
    let polite = |name: &str| {
        format!(
            "trap \"sleep 0.1; echo {name} saved; exit 0\" TERM; echo {name} ready; while :; do sleep 0.01; done"
        )
    };
    let script = format!(
        "{LAUNCH} {root} & {LAUNCH} {own} sh -c '{}' & until [ -d {root}/proc/1 ]; do :; done
         {EXEC} {root} sh -c '{}' & wait",
        polite("leader"),
        polite("exec"),
    );
    container
        .link
        .ask("spawn", Container::shell("runtime", Some(1), &script))
        .unwrap();
    let hosts = format!("exec {EXEC} {root} sh -c '{}'", polite("host"));
    container.run_ok(&format!("until [ -d {root}/proc/1 ]; do :; done"));
    container
        .link
        .ask("spawn", Container::shell("host", None, &hosts))
        .unwrap();
    for name in ["leader", "exec", "host"] {
        container.wait_for_log(|line| line.line == format!("{name} ready"));
    }
    container
        .link
        .ask("shutdown", json!({ "grace_ms": 5000 }))
        .unwrap();
    for name in ["leader", "exec", "host"] {
        container.wait_for_log(|line| line.line == format!("{name} saved"));
    }
    assert_eq!(container.ended(), 0);
}
