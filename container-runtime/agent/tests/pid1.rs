//! The agent as pid 1 of real namespaces: processes, reports, output, the end.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops right there"
)]

mod container;

use container::{Container, host::Event};
use coppice_wire::agent::ProcessKind;
use serde_json::{Value, json};

#[test]
fn a_process_is_spawned_in_its_leaf_and_its_exit_is_reported() {
    let mut container = Container::start();
    let spawn = Container::shell("one", None, "cat /proc/self/cgroup; exit 7");
    let answer = container.link.ask("spawn", &spawn).unwrap();
    let started = container.link.started(|started| started.id == "one");
    assert_eq!(answer, json!({ "pid": started.pid }));
    assert_eq!(
        (started.kind, started.leaf.as_str()),
        (ProcessKind::Host, "d-one-host")
    );
    let exited = container.link.exited("one");
    assert_eq!(
        (exited.code, exited.signal, exited.pid),
        (Some(7), None, started.pid)
    );
    let log = container.wait_for_log(|line| line.src == "one" && line.line.starts_with("0::"));
    let mut lines = log.iter().filter(|line| line.src == "one");
    assert!(
        lines.all(|line| line.line.ends_with(":/d-one-host")),
        "{log:#?}"
    );
}

#[test]
fn a_runtime_gets_its_environment_pipes_and_nothing_else() {
    let mut container = Container::start();
    let mut spawn = Container::shell(
        "runtime",
        Some(3),
        "env | sort; ls -l /proc/self/fd/ | grep -c .; readlink /proc/self/fd/1; ulimit -n; pwd",
    );
    spawn.env.insert("COPPICE_GENERATION".into(), "3".into());
    spawn.cwd = Some("/usr".into());
    container.link.ask("spawn", &spawn).unwrap();
    container.link.exited("runtime");
    let log = container.wait_for_log(|line| line.line == "/usr");
    let text: Vec<&str> = log
        .iter()
        .filter(|line| line.src == "runtime")
        .map(|line| line.line.as_str())
        .collect();
    let boot = format!("COPPICE_BOOT={}", container.link.hello.boot);
    // `ls` holds 0, 1, 2 and the directory itself; the line before them is its total.
    for wanted in [
        boot.as_str(),
        "COPPICE_GENERATION=3",
        "PATH=/usr/bin:/bin",
        "5",
        "1024",
    ] {
        assert!(text.contains(&wanted), "{wanted} is not in {text:#?}");
    }
    assert!(text.iter().any(|line| line.starts_with("pipe:")));
}

#[test]
fn spawning_an_id_that_lives_answers_with_the_living_process() {
    let mut container = Container::start();
    let spawn = Container::shell("one", None, "exec sleep 60");
    let first = container.link.ask("spawn", &spawn).unwrap();
    assert_eq!(container.link.ask("spawn", &spawn).unwrap(), first);
    let list = container.link.ask("list", Value::Null).unwrap();
    assert_eq!(list["processes"].as_array().unwrap().len(), 1);
    container
        .link
        .ask("signal", json!({ "id": "one", "signal": 15 }))
        .unwrap();
    assert_eq!(container.link.exited("one").signal, Some(15));
    let gone = container
        .link
        .ask("signal", json!({ "id": "one", "signal": 15 }));
    assert_eq!(gone.unwrap_err().code, 6);
}

#[test]
fn what_cannot_be_spawned_is_refused_with_a_reason() {
    let mut container = Container::start();
    let mut missing = Container::shell("one", None, "");
    missing.argv[0] = "/usr/bin/not-there".into();
    let error = container.link.ask("spawn", &missing).unwrap_err();
    assert_eq!(error.code, 6);
    assert!(
        error.message.contains("/usr/bin/not-there") && error.message.contains("No such file"),
        "{error}"
    );
    for change in [
        json!({"id": "../x"}),
        json!({"leaf": "agent"}),
        json!({"leaf": "a/b"}),
        json!({"argv": []}),
        json!({"argv": ["sh"]}),
        json!({"argv": 1}),
    ] {
        let mut spawn = serde_json::to_value(Container::shell("one", None, "true")).unwrap();
        for (name, value) in change.as_object().unwrap() {
            spawn[name] = value.clone();
        }
        assert!(
            container.link.ask("spawn", &spawn).is_err(),
            "{change} was taken"
        );
    }
    assert_eq!(
        container.link.ask("no-such", Value::Null).unwrap_err().code,
        -32601
    );
    container.run_ok("true");
}

#[test]
fn orphans_are_reaped() {
    let mut container = Container::start();
    container.run_ok("for n in 1 2 3 4 5; do (sleep 0.05 &) ; done");
    container.run_ok("while [ $(ls -d /proc/[0-9]* | wc -l) -gt 6 ]; do :; done; ! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null");
}

#[test]
fn reports_survive_a_host_that_was_away_and_stop_once_acknowledged() {
    let mut container = Container::start();
    container.link.acknowledge = false;
    container
        .link
        .ask("spawn", Container::shell("one", None, "sleep 0.1; exit 3"))
        .unwrap();
    let first = container.link.event();
    let boot = container.link.hello.boot.clone();
    container.reconnect();
    assert_eq!(container.link.hello.boot, boot);
    // Not acknowledged before: told again, then the exit that the host missed.
    let again = container.link.event();
    assert!(matches!((&first, &again), (Event::Started(a), Event::Started(b)) if a == b));
    let exited = container.link.exited("one");
    assert_eq!((exited.code, exited.seq), (Some(3), 2));
    container.link.ask("ack", json!({ "seq": 2 })).unwrap();
    container.reconnect();
    container
        .link
        .ask("spawn", Container::shell("two", None, "true"))
        .unwrap();
    assert_eq!(container.link.event().seq(), 3);
}

#[test]
fn output_is_drained_while_the_host_is_away() {
    let mut container = Container::start();
    let script = "sleep 0.05; head -c 400000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo done";
    container
        .link
        .ask("spawn", Container::shell("one", None, script))
        .unwrap();
    container.link_taken().close();
    container.wait_for_log(|line| line.line == "done");
    container.link = container.host.agent();
    assert_eq!(container.link.exited("one").code, Some(0));
}

#[test]
fn long_lines_and_bytes_that_are_not_text_are_kept() {
    let mut container = Container::start();
    container
        .link
        .ask(
            "spawn",
            Container::shell(
                "one",
                None,
                "head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'a\\377b\\n'; printf end",
            ),
        )
        .unwrap();
    let log = container.wait_for_log(|line| line.line == "end");
    let lines: Vec<&str> = log
        .iter()
        .filter(|line| line.src == "one")
        .map(|line| line.line.as_str())
        .collect();
    assert_eq!(
        lines
            .iter()
            .map(|line| line.len())
            .take(3)
            .collect::<Vec<_>>(),
        [16384, 16384, 7232]
    );
    assert_eq!(&lines[3..], ["a\u{fffd}b", "end"]);
    let run = &container.link.hello.boot;
    assert!(log.iter().all(|line| line.run == *run));
}

#[test]
fn garbage_on_either_socket_ends_nothing() {
    let mut container = Container::start();
    container.link.write_raw(b"\n\0\xff garbage\n{\"jsonrpc\":\"2.0\"}\n[[[[\n{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":1}\n");
    container.run_ok(
        "command -v node >/dev/null || exit 0
         node -e '
           const net = require(`net`);
           for (const bytes of [`garbage\\n`, `{\"say\":\"ended\"}\\n`, `{\"say\":\"running\",\"pid\":1}\\n`,
               `{\"say\":\"begin\",\"kind\":\"exec\",\"root\":\"../..\",\"argv\":[]}\\n`, `x`.repeat(400000)]) {
             const socket = net.connect(`/run/coppice/agent.sock`, () => socket.end(bytes));
             socket.on(`error`, () => {});
           }'",
    );
    // A line over the limit ends the connection, and only that.
    container.link.write_raw(&vec![b'x'; 5 * 1024 * 1024]);
    container.link = container.host.agent();
    container.run_ok("true");
}

#[test]
fn a_generation_is_killed_whole_and_another_is_left_alone() {
    let mut container = Container::start();
    // A session of its own, a double fork, and one that ignores every signal it can.
    let script = "(setsid sleep 1000 &); (trap '' TERM HUP INT; sleep 1001) & exec sleep 1002";
    container
        .link
        .ask("spawn", Container::shell("runtime", Some(1), script))
        .unwrap();
    container
        .link
        .ask(
            "spawn",
            Container::shell("other", Some(2), "exec sleep 1003"),
        )
        .unwrap();
    container.run_ok("until [ $(pgrep -c 'sleep') -eq 4 ]; do :; done");
    let killed = container
        .link
        .ask("kill-generation", json!({ "generation": 1 }))
        .unwrap();
    assert!(killed["killed"].as_u64().unwrap() >= 3, "{killed}");
    let exited = container.link.exited("runtime");
    assert_eq!((exited.signal, exited.generation), (Some(9), Some(1)));
    assert_eq!(
        container.run_ok("pgrep -a sleep | cut -d' ' -f2-"),
        "sleep 1003"
    );
    assert_eq!(
        container
            .run_ok("ls -d /sys/fs/cgroup/*/runtime-1 /sys/fs/cgroup/runtime-1 2>/dev/null; true"),
        ""
    );
    let nothing = container
        .link
        .ask("kill-generation", json!({ "generation": 1 }))
        .unwrap();
    assert_eq!(nothing, json!({ "killed": 0 }));
}

#[test]
fn a_shutdown_asks_first_and_kills_what_does_not_listen() {
    let mut container = Container::start();
    let polite = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    container
        .link
        .ask("spawn", Container::shell("polite", None, polite))
        .unwrap();
    container
        .link
        .ask("spawn", Container::shell("deaf", None, deaf))
        .unwrap();
    container
        .link
        .ask("spawn", Container::shell("runtime", Some(1), deaf))
        .unwrap();
    for id in ["polite", "deaf", "runtime"] {
        container.wait_for_log(|line| line.src == id && line.line == "ready");
    }
    container
        .link
        .ask("shutdown", json!({ "grace_ms": 300 }))
        .unwrap();
    assert_eq!(
        container
            .link
            .ask("spawn", Container::shell("late", None, "true"))
            .unwrap_err()
            .code,
        38
    );
    let mut ends = std::collections::BTreeMap::new();
    while ends.len() < 3 {
        if let Event::Exited(exited) = container.link.event() {
            ends.insert(exited.id.clone(), (exited.code, exited.signal));
        }
    }
    assert_eq!(ends["polite"], (Some(5), None));
    assert_eq!(ends["deaf"], (None, Some(9)));
    assert_eq!(ends["runtime"], (None, Some(9)));
    assert_eq!(container.ended(), 0);
}

#[test]
fn sigterm_is_a_shutdown_and_the_end_does_not_wait_for_a_host() {
    let mut container = Container::start();
    container
        .link
        .ask(
            "spawn",
            Container::shell("one", None, "sleep 0.2; kill -TERM 1; exec sleep 60"),
        )
        .unwrap();
    container.link_taken().close();
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_burst_of_exits_loses_none() {
    let mut container = Container::start();
    for n in 0..100 {
        container.link.ask_only(
            "spawn",
            Container::shell(&format!("p{n}"), None, &format!("exit {n}")),
        );
    }
    let mut codes: Vec<i32> = Vec::new();
    let mut last = 0;
    while codes.len() < 100 {
        let event = container.link.event();
        assert_eq!(
            event.seq(),
            last + 1,
            "reports come in order and without a gap"
        );
        last = event.seq();
        if let Event::Exited(exited) = event {
            codes.push(exited.code.unwrap());
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_process_killed_for_memory_is_told_from_one_that_was_killed() {
    let mut container = Container::start();
    let script = "for file in /sys/fs/cgroup/memory/d-greedy-host/memory.limit_in_bytes /sys/fs/cgroup/d-greedy-host/memory.max; do
            [ ! -e $file ] || { echo 20000000 > $file && exec tail /dev/zero; }
        done; exit 99";
    container
        .link
        .ask("spawn", Container::shell("greedy", None, script))
        .unwrap();
    let exited = container.link.exited("greedy");
    // 99: this machine gives the test no hierarchy that counts memory.
    if exited.code != Some(99) {
        assert_eq!((exited.signal, exited.oom_kills), (Some(9), Some(1)));
    }
    container
        .link
        .ask("spawn", Container::shell("shot", None, "kill -9 $$"))
        .unwrap();
    let exited = container.link.exited("shot");
    assert_eq!(exited.signal, Some(9));
    assert!(matches!(exited.oom_kills, None | Some(0)));
}

#[test]
fn what_a_process_of_the_hosts_leaves_behind_is_killed_and_its_leaf_removed_in_the_end() {
    let mut container = Container::start();
    let script = "(setsid sleep 1000 &); (trap '' TERM HUP INT; sleep 1001) & exec sleep 0.1";
    container
        .link
        .ask("spawn", Container::shell("one", None, script))
        .unwrap();
    assert_eq!(container.link.exited("one").code, Some(0));
    container.run_ok("while pgrep sleep; do :; done");
    let leaf = "/sys/fs/cgroup/d-one-host /sys/fs/cgroup/*/d-one-host";
    container.run_ok(&format!("while ls -d {leaf} 2>/dev/null; do :; done"));
}

#[test]
fn a_process_of_the_hosts_outlives_the_generations_of_the_runtime() {
    let mut container = Container::start();
    let spawn = Container::shell("one", None, "exec sleep 1000");
    let pid = container.link.ask("spawn", &spawn).unwrap();
    for generation in 1..3 {
        let runtime = Container::shell("runtime", Some(generation), "exec sleep 1001");
        container.link.ask("spawn", runtime).unwrap();
        let kill = json!({ "generation": generation });
        container.link.ask("kill-generation", kill).unwrap();
    }
    assert_eq!(container.link.ask("spawn", &spawn).unwrap(), pid);
}

/// The other process in the leaf of `one`, once there is one.
fn standby(container: &mut Container, pid: &Value) -> Value {
    let pids = "cat /sys/fs/cgroup/d-one-host/cgroup.procs /sys/fs/cgroup/*/d-one-host/cgroup.procs \
                2>/dev/null | sort -u";
    let other = format!("{pids} | grep -vx {}", pid["pid"]);
    let found = container.run_ok(&format!("until {other} >/dev/null; do :; done; {other}"));
    json!({ "pid": found.trim().parse::<i32>().unwrap() })
}

#[test]
fn the_successor_of_a_daemon_waits_in_its_leaf_and_is_let_go_by_the_same_request_only() {
    let mut container = Container::start();
    let mut spawn = Container::shell("one", None, "exec sleep 1000");
    let first = container.link.ask("spawn", &spawn).unwrap();
    let waiting = standby(&mut container, &first);
    let kill = json!({ "id": "one", "signal": 9 });
    container.link.ask("signal", &kill).unwrap();
    assert_eq!(container.link.exited("one").signal, Some(9));
    let second = container.link.ask("spawn", &spawn).unwrap();
    assert_eq!(second, waiting);
    container.run_ok(&format!(
        "until [ $(cat /proc/{}/comm) = sleep ]; do :; done",
        second["pid"]
    ));
    let waiting = standby(&mut container, &second);
    container.link.ask("signal", &kill).unwrap();
    container.link.exited("one");
    spawn.env.insert("CHANGED".into(), "1".into());
    let third = container.link.ask("spawn", &spawn).unwrap();
    assert_ne!(third, waiting);
    container.run_ok(&format!(
        "while [ -e /proc/{} ]; do :; done",
        waiting["pid"]
    ));
    let list = container.link.ask("list", Value::Null).unwrap();
    assert_eq!(list["processes"].as_array().unwrap().len(), 1, "{list}");
}
