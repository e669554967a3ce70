//! The commands of `start-container` beside those that run something in a subcontainer.

use serde_json::{Value, json};

use crate::{
    EXEC,
    container::{Container, host::PATIENCE},
};

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
