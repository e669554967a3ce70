//! Creating, stopping, destroying.

use std::{fs, time::Duration};

use coppice_clock::Mono;
use coppice_containers::{Address, Backend, CreateError, Device, ExitStatus, Inspection, Network};

use crate::{
    host::{Listener, TestHost, chain},
    suite,
};

pub(crate) async fn the_preflight_passes_here_and_leaves_nothing(host: &TestHost) {
    let before = host.traces();
    for check in host.backend().preflight().await {
        assert!(check.ok, "{check:?}");
        assert_eq!(check.next_step, None);
    }
    assert_eq!(host.traces(), before);
    let left = crate::host::entries(&host.layout.data);
    assert!(
        left.iter()
            .all(|path| !path.to_string_lossy().contains("preflight")),
        "{left:?}"
    );
}

pub(crate) async fn the_real_backend_does_what_every_backend_does(host: &TestHost) {
    suite::everything(&host.backend(), &mut |instance| host.spec(instance)).await;
}

pub(crate) async fn pid_1_finds_its_root_as_specified(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("root");
    spec.init
        .env
        .push(("GREETING".to_owned(), "hello there".to_owned()));
    let (life, mut inside) = host.start(&backend, &spec).await;
    inside.expect(&["env", "COPPICE_BOOT"], &life.boot);
    inside.expect(&["env", "GREETING"], "hello there");
    inside.expect(&["read", "/etc/hostname"], "root\\n");
    inside.expect(&["read", "/proc/sys/kernel/hostname"], "root\\n");
    inside.expect(&["read", "/etc/resolv.conf"], "nameserver 10.99.0.1\\n");
    inside.expect(&["read", "/etc/default/locale"], "LANG=de_DE.UTF-8\\n");
    inside.expect(
        &["read", "/etc/machine-id"],
        &format!("{}\\n", life.boot.replace('-', "")),
    );
    assert!(
        inside
            .ask(&["read", "/etc/hosts"])
            .unwrap()
            .contains("127.0.1.1\\troot\\n")
    );
    inside.expect(
        &["read", "/usr/lib/startos/package/index.js"],
        "exports.manifest = {}\\n",
    );
    inside.expect(&["read", "/media/startos/images/main.env"], "A=b\\n");
    inside.expect(
        &["read", "/media/startos/images/main/srv/www-data"],
        "served\\n",
    );
    inside.expect(
        &["owner", "/media/startos/images/main/srv/www-data"],
        "33:33",
    );
    inside.expect(&["owner", "/"], "0:0");
    inside.expect(&["owner", "/media/startos/volumes/main"], "0:0");
    inside.expect(&["list", "/media/startos/subcontainers"], "");
    inside.expect(&["exists", "/dev/null"], "true");
    inside.expect(&["exists", "/sys/kernel"], "true");
    for path in [
        "/usr/lib/startos/package/x",
        "/media/startos/rpc/x",
        "/media/startos/images/main/x",
    ] {
        assert!(
            inside
                .refused(&["write", path, "x", "0"])
                .contains("Read-only"),
            "{path}"
        );
    }
    assert!(
        inside
            .refused(&["mknod", "/zero"])
            .contains("not permitted")
    );
    for path in [
        "/",
        "/run",
        "/tmp",
        "/media/coppice/logs",
        "/media/startos/volumes/main",
        "/dev/shm",
    ] {
        inside.expect(&["write", &format!("{path}/written"), "x", "0"], "");
    }
    assert!(spec.logs_dir.join("written").exists());
    // liblxc would have moved whoever starts a container into its monitor's cgroup.
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(!own.contains(host.layout.short.as_str()), "{own}");
    backend.destroy(&spec.instance).await.unwrap();
    assert!(
        spec.logs_dir.join("written").exists(),
        "logs and volumes stay"
    );
}

pub(crate) async fn a_grace_that_runs_out_ends_in_a_kill(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("stubborn");
    spec.init
        .env
        .push(("IGNORE_TERM".to_owned(), "1".to_owned()));
    let (_, mut inside) = host.start(&backend, &spec).await;
    inside.expect(&["exists", "/"], "true");
    let began = Mono::now();
    backend
        .stop(&spec.instance, Duration::from_millis(200))
        .await
        .unwrap();
    let took = Mono::now().since(began);
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap(),
        Inspection::Stopped
    );
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn the_exit_tells_how_pid_1_ended(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("exits");
    // Before Linux 6.15 only the parent is told.
    let kernel = nix::sys::utsname::uname()
        .unwrap()
        .release()
        .to_string_lossy()
        .into_owned();
    let tells = kernel.starts_with("6.18") || kernel.starts_with('7');
    for (order, status) in [
        (Some("7"), ExitStatus::Code(7)),
        (None, ExitStatus::Signal(libc::SIGKILL)),
    ] {
        let (life, mut inside) = host.start(&backend, &spec).await;
        let waiting = backend.wait_exit(&spec.instance, &life);
        // Begun after the waiting: of one that has ended before, nobody can be asked.
        let ending = async {
            match order {
                Some(code) => inside.tell(&["exit", code]),
                None => backend.kill(&spec.instance).await.unwrap(),
            }
        };
        let both = async { tokio::join!(waiting, ending).0 };
        let exit = tokio::time::timeout(Duration::from_secs(10), both)
            .await
            .unwrap()
            .unwrap();
        // Once the process is gone altogether, nobody can be asked.
        assert!(
            exit.status == Some(status) || (!tells || order.is_none()),
            "{exit:?}"
        );
        backend.stop(&spec.instance, Duration::ZERO).await.unwrap();
    }
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn what_is_missing_is_named_and_nothing_is_left(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("missing");
    spec.images[0].file = host.path("not-there.squashfs");
    let error = backend.create(&spec).await.unwrap_err();
    let CreateError::Missing { path, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &host.path("not-there.squashfs"));
    assert!(error.to_string().contains("reinstall"), "{error}");

    let mut spec = host.spec("missing");
    fs::write(host.path("garbage.squashfs"), vec![7_u8; 8192]).unwrap();
    spec.images[0].file = host.path("garbage.squashfs");
    let error = backend.create(&spec).await.unwrap_err();
    assert!(
        chain(&error).contains("garbage.squashfs"),
        "{}",
        chain(&error)
    );

    let mut spec = host.spec("missing");
    spec.hostname = "a\nlxc.hook.start = /bin/evil".to_owned();
    let error = backend.create(&spec).await.unwrap_err();
    assert!(matches!(error, CreateError::Unusable { .. }), "{error}");
}

pub(crate) async fn a_failed_start_tells_liblxcs_words_and_leaves_nothing(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("fails");
    spec.init.argv = vec!["/usr/bin/not-there".to_owned()];
    let error = backend.create(&spec).await.unwrap_err();
    let CreateError::Start { log, .. } = &error else {
        panic!("{}", chain(&error))
    };
    assert!(log.contains("not-there"), "{log}");
}

pub(crate) async fn a_container_has_its_link_and_address(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("linked");
    spec.network = Some(Network {
        bridge: host.layout.bridge.clone(),
        mac: [2, 0, 0, 0, 0, 9],
        ipv4: Some(Address {
            address: [10, 99, 0, 9].into(),
            prefix: 20,
            gateway: [10, 99, 0, 1].into(),
        }),
        ipv6: Some(Address {
            address: "fd00:99::9".parse().unwrap(),
            prefix: 64,
            gateway: "fd00:99::1".parse().unwrap(),
        }),
    });
    let (_, mut inside) = host.start(&backend, &spec).await;
    inside.expect(
        &["read", "/sys/class/net/eth0/address"],
        "02:00:00:00:00:09\\n",
    );
    let routes = inside.ask(&["read", "/proc/net/route"]).unwrap();
    assert!(
        routes.contains("eth0\\t00000000\\t0100630A"),
        "the gateway: {routes}"
    );
    let trie = inside.ask(&["read", "/proc/net/fib_trie"]).unwrap();
    assert!(trie.contains("10.99.0.9"), "{trie}");
    let ipv6 = inside.ask(&["read", "/proc/net/if_inet6"]).unwrap();
    assert!(ipv6.contains("fd000099000000000000000000000009"), "{ipv6}");
    assert_eq!(
        host.traces()
            .iter()
            .filter(|trace| trace.starts_with("link"))
            .count(),
        1
    );
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn granted_devices_open_and_others_do_not(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("devices");
    for path in ["/dev/fuse", "/dev/net/tun", "/dev/not-there"] {
        spec.devices.push(Device { path: path.into() });
    }
    let (_, mut inside) = host.start(&backend, &spec).await;
    for device in ["/dev/fuse", "/dev/net/tun", "/dev/null"] {
        inside.expect(&["open-device", device], "");
    }
    inside.expect(&["exists", "/dev/not-there"], "false");
    inside.expect(&["exists", "/dev/loop-control"], "false");
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn twenty_lives_leave_nothing_and_take_this_long(host: &TestHost) {
    const LIVES: u32 = 20;
    let backend = host.backend();
    let mut spec = host.spec("cycles");
    spec.network = Some(Network {
        bridge: host.layout.bridge.clone(),
        mac: [2, 0, 0, 0, 0, 3],
        ipv4: None,
        ipv6: None,
    });
    let (mut create, mut stop, mut destroy) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut slowest = Duration::ZERO;
    for _ in 0..LIVES {
        let listener = Listener::bind(&spec);
        let began = Mono::now();
        backend.create(&spec).await.unwrap();
        let created = Mono::now();
        // A pid 1 that has not come to handle SIGTERM yet ignores it.
        drop(listener.accept());
        let up = Mono::now();
        backend
            .stop(&spec.instance, Duration::from_secs(5))
            .await
            .unwrap();
        let stopped = Mono::now();
        backend.destroy(&spec.instance).await.unwrap();
        create += created.since(began);
        slowest = slowest.max(created.since(began));
        stop += stopped.since(up);
        destroy += Mono::now().since(stopped);
        host.assert_clean("a life").await;
    }
    println!(
        "  mean of {LIVES}: create and start {} ms (slowest {}), stop {} ms, destroy {} ms",
        (create / LIVES).as_millis(),
        slowest.as_millis(),
        (stop / LIVES).as_millis(),
        (destroy / LIVES).as_millis()
    );
}
