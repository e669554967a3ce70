//! `start-container` in a real container: the conformance list of the package ABI, as far as it
//! needs no other host than the agent.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops right there"
)]

mod container;

use std::{path::PathBuf, time::Duration};

use container::{BASE, Container, host::PATIENCE};
use coppice_clock::Mono;
use coppice_wire::agent::{ProcessKind, ProcessStarted};
use serde_json::{Value, json};

const EXEC: &str = "/usr/bin/start-container subcontainer exec";
const LAUNCH: &str = "/usr/bin/start-container subcontainer launch";

#[test]
fn exec_works_with_an_empty_environment() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let out = container.run_ok(&format!("env -i {EXEC} {root} sh -c 'echo $HOME; tr \"\\0\" \"\\n\" </proc/self/environ | grep -v ^HOME='; true"));
    assert_eq!(out, "/root");
    assert_eq!(
        container.run_ok(&format!("env -i {EXEC} {root} id -u")),
        "0"
    );
}

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
fn exec_shares_what_it_should_and_nothing_else() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let kinds = "pid cgroup ipc net user uts mnt";
    let links = |of: &str| format!("for kind in {kinds}; do readlink {of}/ns/$kind; done");
    // Looking through the leader's own /proc, which is the one that is inside.
    let leader = container.run_ok(&links(&format!("{root}/proc/1")));
    let inside = container.run_ok(&format!("{EXEC} {root} sh -c '{}'", links("/proc/self")));
    let outside = container.run_ok(&links("/proc/self"));
    let rows = leader
        .lines()
        .zip(inside.lines())
        .zip(outside.lines())
        .zip(kinds.split(' '));
    for (((leader, inside), outside), kind) in rows {
        let (with_leader, with_container) = match kind {
            "pid" | "cgroup" | "ipc" => (true, false),
            "mnt" => (false, false),
            _ => (true, true),
        };
        assert_eq!(inside == leader, with_leader, "{kind} with the leader");
        assert_eq!(
            inside == outside,
            with_container,
            "{kind} with the container"
        );
    }
    let init = container.run_ok(&format!("{EXEC} {root} cat /proc/1/comm"));
    assert_eq!(init, "start-container");
    container.run_ok(&format!("{EXEC} {root} test ! -e /media"));
    container.run_ok(&format!(
        "{EXEC} {root} touch /mnt/inside && test -e {root}/mnt/inside"
    ));
    assert_eq!(
        container.run_ok(&format!(
            "{EXEC} {root} cat /proc/self/cgroup | cut -d: -f3 | sort -u"
        )),
        "/"
    );
}

#[test]
fn exit_codes_are_the_commands() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    for (command, code, text) in [
        ("sh -c 'exit 7'", 7, ""),
        ("sh -c 'kill -TERM $$'", 0, ""),
        ("sh -c 'kill -KILL $$'", 1, "SIGKILL"),
        ("not-there", 127, "could not run `not-there`"),
        ("/etc/passwd", 126, "Permission denied"),
    ] {
        let ran = container.run(&format!("{EXEC} {root} {command}"));
        assert_eq!(ran.exited.code, Some(code), "{command}: {ran:?}");
        assert!(ran.err.contains(text), "{command}: {ran:?}");
    }
    let ran = container.run(&format!("{EXEC} --workdir=/nowhere {root} pwd"));
    assert!(
        ran.exited.code != Some(0) && ran.err.contains("/nowhere"),
        "{ran:?}"
    );
    let ran = container.run(&format!("{EXEC} /media/startos/subcontainers/none true"));
    assert!(
        ran.exited.code != Some(0) && ran.err.contains("launch it first"),
        "{ran:?}"
    );
}

#[test]
fn signals_reach_the_command_and_a_killed_cli_takes_it_along() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    for (signal, number) in [
        ("TERM", libc::SIGTERM),
        ("INT", libc::SIGINT),
        ("HUP", libc::SIGHUP),
        ("USR1", libc::SIGUSR1),
    ] {
        let inner =
            format!("trap \"echo got; exit 3\" {signal}; echo ready; while :; do sleep 0.01; done");
        let id = format!("on-{signal}");
        let spawn = Container::shell(&id, None, &format!("exec {EXEC} {root} sh -c '{inner}'"));
        container.link.ask("spawn", spawn).unwrap();
        container.wait_for_log(|line| line.src == id && line.line == "ready");
        container
            .link
            .ask("signal", json!({ "id": id, "signal": number }))
            .unwrap();
        assert_eq!(container.link.exited(&id).code, Some(3));
        container.wait_for_log(|line| line.src == id && line.line == "got");
    }
    for user in ["root", "www-data"] {
        container.run_ok(&format!(
            "{EXEC} --user={user} {root} sleep 1234 & until pgrep -fx 'sleep 1234'; do :; done
             kill -KILL $!; while pgrep -fx 'sleep 1234'; do :; done"
        ));
    }
}

#[test]
fn an_end_that_the_caller_asked_for_is_told_apart_from_others() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    for (who, asked) in [("$!", true), ("$(pgrep -fx 'sleep 4321')", false)] {
        container.run_ok(&format!(
            "{EXEC} {root} sleep 4321 & until pgrep -fx 'sleep 4321'; do :; done; kill -TERM {who}; wait"
        ));
        let is_it =
            |started: &ProcessStarted| started.argv.first().is_some_and(|one| one == "sleep");
        let sleep = container.link.started(is_it);
        let exited = container.link.exited(&sleep.id);
        assert_eq!((exited.signal, exited.asked), (Some(libc::SIGTERM), asked));
    }
}

#[test]
fn users_groups_and_home_are_those_of_the_image() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let who = "sh -c 'echo $(id -u) $(id -g) $(id -G) $HOME'";
    for (user, expected) in [
        ("", "0 0 0 /root"),
        ("--user=root", "0 0 0 /root"),
        ("--user=33:33", "33 33 33 50 /var/www"),
        ("--user=www-data", "33 33 33 50 /var/www"),
        ("--user=www-data:extra", "33 50 50 /var/www"),
        ("--user=1000", "1000 0 0 /given"),
        ("--user=www-data --env=HOME=/mine", "33 33 33 50 /mine"),
    ] {
        let out = container.run_ok(&format!("HOME=/given {EXEC} {user} {root} {who}"));
        assert_eq!(out, expected, "{user}");
    }
    let ran = container.run(&format!("{EXEC} --user=nobody-here {root} true"));
    assert!(
        ran.exited.code != Some(0) && ran.err.contains("nobody-here"),
        "{ran:?}"
    );
}

#[test]
fn a_non_root_command_can_open_its_own_stderr() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let ran = container.run(&format!(
        "{EXEC} --user=www-data {root} sh -c 'echo x > /dev/stderr'"
    ));
    assert_eq!((ran.exited.code, ran.err.as_str()), (Some(0), "x"));
}

#[test]
fn variables_come_from_the_environment_then_the_file_then_the_command_line() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let file = "--env-file=/media/startos/images/main.env";
    let show = "sh -c 'echo \"$INHERITED|$FROM_FILE|$BOTH|$GIVEN\"'";
    let out = container.run_ok(&format!(
        "INHERITED=i BOTH=i GIVEN=i {EXEC} {file} --env=BOTH=given -e 'GIVEN=a=b c
d' {root} {show}"
    ));
    assert_eq!(out, "i|file|given|a=b c\nd");
    let ran = container.run(&format!("{EXEC} --env=nonsense {root} true"));
    assert!(
        ran.exited.code == Some(0) && ran.err.contains("nonsense"),
        "{ran:?}"
    );
    assert_ne!(
        container
            .run(&format!("{EXEC} --env-file=/none {root} true"))
            .exited
            .code,
        Some(0)
    );
}

#[test]
fn stdin_and_ten_megabytes_of_stdout_go_through_whole() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let out = container.run_ok(&format!("printf 'one\\ntwo' | {EXEC} {root} cat; echo"));
    assert_eq!(out, "one\ntwo");
    let out = container.run_ok(&format!("{EXEC} {root} head -c 10000000 /dev/zero | wc -c"));
    assert_eq!(out, "10000000");
}

#[test]
fn a_volume_mounted_later_is_seen_by_running_and_by_new_commands() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container.run_ok("echo data > /media/startos/volumes/main/file; mkdir /media/startos/volumes/main/sub; mount -t tmpfs tmpfs /media/startos/volumes/main/sub; touch /media/startos/volumes/main/sub/deep");
    let wait = format!(
        "{EXEC} {root} sh -c 'echo ready; until [ -e /data/file ]; do sleep 0.01; done; echo seen'"
    );
    container
        .link
        .ask("spawn", Container::shell("waits", None, &wait))
        .unwrap();
    container.wait_for_log(|line| line.src == "waits" && line.line == "ready");
    let bind = "/usr/bin/start-container bind-mount --source /media/startos/volumes/main";
    container.run_ok(&format!("env -i {bind} --target {root}/data --recursive"));
    container.wait_for_log(|line| line.src == "waits" && line.line == "seen");
    assert_eq!(
        container.run_ok(&format!("{EXEC} {root} ls /data/sub")),
        "deep"
    );
    container.run_ok(&format!("{EXEC} {root} sh -c 'echo more >> /data/file'"));
    assert_eq!(
        container.run_ok("cat /media/startos/volumes/main/file"),
        "data\nmore"
    );
    container.run_ok(&format!("{bind} --target {root}/fixed --readonly"));
    assert_ne!(
        container
            .run(&format!("{EXEC} {root} touch /fixed/x"))
            .exited
            .code,
        Some(0)
    );
    assert_eq!(container.run_ok(&format!("ls {root}/fixed/sub")), "");
    container.run_ok(&format!("/usr/bin/start-container bind-mount --source=/media/startos/volumes/main/file --target={root}/etc/app/one.conf --file"));
    assert_eq!(
        container.run_ok(&format!("{EXEC} {root} cat /etc/app/one.conf")),
        "data\nmore"
    );
    // What a subcontainer mounts for itself does not come back out.
    container.run_ok(&format!(
        "{EXEC} {root} sh -c 'mount -t tmpfs tmpfs /mnt && touch /mnt/private'"
    ));
    container.run_ok(&format!("test ! -e {root}/mnt/private"));
}

#[test]
fn a_mount_with_an_idmap_is_the_hosts_to_make() {
    let mut container = Container::start();
    let (said, heard) = std::sync::mpsc::channel();
    container.host.answer_with(move |method, params| {
        said.send((method.to_owned(), params.clone())).unwrap();
        Ok(Value::Null)
    });
    container.run_ok("/usr/bin/start-container bind-mount --source /media/startos/volumes/main --target /mnt/x --recursive --idmap 0:1000 --idmap 5:6:7");
    let (method, params) = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(method, "bind-mount");
    assert_eq!(
        params,
        json!({"source": "/media/startos/volumes/main", "target": "/mnt/x", "recursive": true, "readonly": false,
               "file": false, "idmap": [{"fromId": 0, "toId": 1000, "range": 1}, {"fromId": 5, "toId": 6, "range": 7}]})
    );
    container.run_ok("test -d /mnt/x");
}

#[test]
fn a_signal_to_the_own_group_stays_in_one_exec() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container
        .link
        .ask(
            "spawn",
            Container::shell("other", None, &format!("{EXEC} {root} sleep 1235")),
        )
        .unwrap();
    container.run_ok("until pgrep -fx 'sleep 1235'; do :; done");
    let ran = container.run(&format!("{EXEC} {root} sh -c 'kill -TERM 0; sleep 10'"));
    assert_eq!(ran.exited.code, Some(0));
    container.run_ok("pgrep -fx 'sleep 1235'");
}

#[test]
fn a_subcontainer_may_make_user_namespaces_of_its_own() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container.run_ok(&format!("{EXEC} {root} unshare -U true"));
    container.run_ok(&format!("{EXEC} --user=www-data {root} unshare -U true"));
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
fn an_agent_that_does_not_answer_delays_nothing_for_long() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container.run_ok("mkfifo /run/go");
    let agent = nix::unistd::Pid::from_raw(container.link.agent_pid());
    let go = PathBuf::from(format!("/proc/{agent}/root/run/go"));
    let out = PathBuf::from(format!("/proc/{agent}/root/run/out"));
    // The agent also empties the pipes, so a stopped one is watched through a file.
    let script = format!("read go < /run/go; {EXEC} {root} sh -c 'echo done' > /run/out");
    container
        .link
        .ask("spawn", Container::shell("file", Some(1), &script))
        .unwrap();
    nix::sys::signal::kill(agent, nix::sys::signal::SIGSTOP).unwrap();
    std::fs::write(&go, "\n").unwrap();
    let begun = Mono::now();
    let written = || std::fs::read_to_string(&out).is_ok_and(|text| text == "done\n");
    while !written() && Mono::now().since(begun) < PATIENCE {}
    let took = Mono::now().since(begun);
    nix::sys::signal::kill(agent, nix::sys::signal::SIGCONT).unwrap();
    println!("an exec without an answering agent took {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    container.run_ok("true");
}

#[test]
fn files_of_a_user_in_a_subcontainer_are_that_users_on_the_volume() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    container.run_ok(&format!(
        "chmod 777 {root}/mnt; {EXEC} --user=33 {root} touch /mnt/x"
    ));
    assert_eq!(container.run_ok(&format!("stat -c %u {root}/mnt/x")), "33");
    let seen = PathBuf::from(format!(
        "/proc/{}/root{root}/mnt/x",
        container.link.agent_pid()
    ));
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&seen.metadata().unwrap()),
        BASE + 33
    );
}

#[test]
fn effects_on_the_command_line_ask_the_host() {
    let mut container = Container::start();
    container.host.answer_with(|method, params| match method {
        "get-os-ip" => Ok(json!("10.1.2.3")),
        "get-data-version" => Ok(Value::Null),
        "subcontainer.create-fs" => {
            assert_eq!(*params, json!({ "imageId": "main", "name": null }));
            Ok(json!(["/media/startos/subcontainers/g", "g"]))
        }
        "echo" => Ok(params["message"].clone()),
        _ => Err(coppice_wire::RpcError {
            code: 38,
            message: "Invalid request".into(),
            data: Some(json!({ "details": "not now" })),
        }),
    });
    let cli = "env -i /usr/bin/start-container";
    assert_eq!(container.run_ok(&format!("{cli} get-os-ip")), "10.1.2.3");
    assert_eq!(container.run_ok(&format!("{cli} get-data-version")), "N/A");
    assert_eq!(container.run_ok(&format!("{cli} echo a b")), "a b");
    assert_eq!(
        container.run_ok(&format!("{cli} subcontainer create-fs main")),
        "/media/startos/subcontainers/g"
    );
    let ran = container.run(&format!("{cli} restart"));
    assert_eq!(
        (ran.exited.code, ran.err.as_str()),
        (Some(38), "start-container: Invalid request: not now")
    );
    let ran = container.run(&format!("{cli} --socket /none get-os-ip"));
    assert!(
        ran.exited.code == Some(1) && ran.err.contains("/none"),
        "{ran:?}"
    );
}

#[test]
fn pipe_wrap_gives_pipes_and_the_commands_exit_code() {
    let mut container = Container::start();
    let ran = container.run("/usr/bin/start-container pipe-wrap sh -c 'readlink /proc/self/fd/1 | cut -c1-5; echo err >&2; exit 6' > /run/file; code=$?; cat /run/file; exit $code");
    assert_eq!(
        (ran.exited.code, ran.out.as_str(), ran.err.as_str()),
        (Some(6), "pipe:", "err")
    );
}

#[test]
fn a_forced_terminal_is_one() {
    let mut container = Container::start();
    let root = container.subcontainer("a");
    let out = container.run_ok(&format!(
        "echo typed | {EXEC} --force-tty --pty-size 30:90 {root} sh -c 'tty; stty size; read word; echo got $word; exit 0'"
    ));
    assert!(
        out.contains("/dev/pts/") && out.contains("30 90") && out.contains("got typed"),
        "{out}"
    );
    assert_eq!(
        container
            .run(&format!(
                "{EXEC} --force-tty {root} sh -c 'exit 3' < /dev/null"
            ))
            .exited
            .code,
        Some(3)
    );
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
