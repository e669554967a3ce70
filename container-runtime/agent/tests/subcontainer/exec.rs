//! `subcontainer exec`: what a command in a subcontainer has, and what is known of its end.

use std::{path::PathBuf, time::Duration};

use coppice_clock::Mono;
use coppice_wire::agent::ProcessStarted;
use serde_json::json;

use crate::{
    EXEC,
    container::{BASE, Container, host::PATIENCE},
};

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
