//! Containers that do what they can to be in the way.

use std::{fs, path::PathBuf, time::Duration};

use coppice_containers::{Backend, ContainerSpec, Device, Inspection};
use futures_util::future::join_all;
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::{Mode, mkdirat},
};

use crate::{
    host::{TestHost, cgroup_mounts, chain, guid},
    limits::until,
    suite::{segment, volume_mount},
};

/// Far beyond every deadline of the backend's own.
const HELD_UP: Duration = Duration::from_secs(90);

pub(crate) async fn a_file_system_that_never_answers_holds_nobody_up_for_long(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("silent");
    spec.devices.push(Device {
        path: "/dev/fuse".into(),
    });
    let (_, mut inside) = host.start(&backend, &spec).await;
    let bystander = host.spec("bystander");
    backend.create(&bystander).await.unwrap();
    let (main, led) = (segment("main"), guid("led"));
    let made = backend.create_subcontainer_fs(&spec.instance, &main, &led);
    made.await.unwrap();
    let proc = "/media/startos/subcontainers/led/proc";
    for path in ["/mnt/silent", proc] {
        inside.expect(&["mkdir", path], "");
        inside.expect(&["silent-fuse", path], "");
    }
    let mount = volume_mount(&spec, "/mnt/silent/deep");
    let into = async {
        let outcome = backend.mount_into(&spec.instance, &mount).await;
        assert!(outcome.is_err(), "nothing answered");
    };
    let away = backend.destroy_subcontainer_fs(&spec.instance, &led);
    let neighbour = async {
        let made = backend.create_subcontainer_fs(&bystander.instance, &main, &led);
        made.await.unwrap();
        backend.destroy(&bystander.instance).await.unwrap();
    };
    let all = async {
        let ((), away, ()) = tokio::join!(into, away, neighbour);
        away.unwrap();
        let more = (0..4).map(|_| backend.mount_into(&spec.instance, &mount));
        assert!(join_all(more).await.iter().all(Result::is_err));
        // Each of those is a process of the host's that cannot be killed yet: no more are sent in.
        let refused = backend.mount_into(&spec.instance, &mount);
        let refused = tokio::time::timeout(Duration::from_secs(5), refused).await;
        let refused = refused.expect("it is refused at once").unwrap_err();
        assert!(chain(&refused).contains("answers nothing"), "{refused:?}");
        backend.destroy(&spec.instance).await.unwrap();
    };
    tokio::time::timeout(HELD_UP, all).await.unwrap();
    // Those who were held up end with what held them, and let go of the container's mounts then.
    until("nothing of it is left", async || host.traces().is_empty()).await;
}

pub(crate) async fn cgroups_longer_than_any_path_are_removed(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("rambling");
    let (_, _inside) = host.start(&backend, &spec).await;
    for top in inner_cgroups(host, &spec) {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut at = nix::fcntl::open(&top, flags, Mode::empty()).unwrap();
        let name = "n".repeat(200);
        for _ in 0..40 {
            mkdirat(&at, name.as_str(), Mode::S_IRWXU).unwrap();
            at = openat(&at, name.as_str(), flags, Mode::empty()).unwrap();
        }
    }
    let usage = backend.usage(&spec.instance, None).await.unwrap();
    assert_eq!(usage.oom_kills, Some(0), "{usage:?}");
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_container_that_froze_itself_ends_when_told(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("frozen");
    let (_, _inside) = host.start(&backend, &spec).await;
    let mut frozen = 0;
    for cgroup in inner_cgroups(host, &spec) {
        // v1's state, or v2's.
        for (file, word) in [("freezer.state", "FROZEN"), ("cgroup.freeze", "1")] {
            if cgroup.join(file).exists() {
                fs::write(cgroup.join(file), word).unwrap();
                frozen += 1;
            }
        }
    }
    assert!(frozen > 0, "this host has no freezer");
    let stop = backend.stop(&spec.instance, Duration::from_millis(100));
    tokio::time::timeout(HELD_UP, stop).await.unwrap().unwrap();
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap(),
        Inspection::Stopped
    );
    backend.destroy(&spec.instance).await.unwrap();
}

/// The cgroups that the container's root may write.
fn inner_cgroups(host: &TestHost, spec: &ContainerSpec) -> Vec<PathBuf> {
    let inner = PathBuf::from(host.layout.cgroup(&spec.instance)).join("ns");
    cgroup_mounts()
        .into_iter()
        .map(|mount| mount.join(&inner))
        .filter(|dir| dir.is_dir())
        .collect()
}

pub(crate) async fn what_has_no_namespace_cannot_be_asked_for(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("asks");
    let (_, mut inside) = host.start(&backend, &spec).await;
    let mut ask = |number: libc::c_long, first: i32, second: i32| {
        let words = [number.to_string(), first.to_string(), second.to_string()];
        let [number, first, second] = words.each_ref();
        inside.ask(&["call", number, first, second])
    };
    for number in [
        libc::SYS_syslog,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ] {
        let said = ask(number, 0, 0).unwrap_err();
        assert!(said.contains("os error 1)"), "{number}: {said}");
    }
    let said = ask(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM).unwrap_err();
    assert!(said.contains("os error 97)"), "{said}");
    ask(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM).unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn watches_of_one_container_are_not_taken_from_others(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("watches");
    let (_, mut inside) = host.start(&backend, &spec).await;
    // More than a kernel gives one user by itself; each is kept.
    for _ in 0..300 {
        inside
            .ask(&["call", &libc::SYS_inotify_init1.to_string(), "0", "0"])
            .unwrap();
    }
    nix::sys::inotify::Inotify::init(nix::sys::inotify::InitFlags::empty()).unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}
