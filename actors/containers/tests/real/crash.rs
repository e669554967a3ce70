//! kill -9 of whoever made or watches a container.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use coppice_clock::Mono;
use coppice_containers::{
    Backend, ContainerSpec, HostLayout, Inspection, Leftover, LxcBackend, Network,
};

use crate::{host::TestHost, limits::until, suite::segment};

/// What a creator process does: reads a specification, creates, says so, and waits to be killed.
pub(crate) fn create_and_wait(spec: &OsStr) -> ExitCode {
    // SAFETY: the process has one thread so far.
    unsafe { coppice_containers::prepare_process() };
    let text = |name: &str| std::env::var(name).unwrap();
    let mut layout = HostLayout::new(
        segment(&text("COPPICE_TEST_SHORT")),
        text("COPPICE_TEST_DATA"),
    );
    layout.run = text("COPPICE_TEST_RUN").into();
    let spec: ContainerSpec = serde_json::from_slice(&fs::read(spec).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("begin");
        LxcBackend::new(layout)
            .unwrap()
            .create(&spec)
            .await
            .unwrap();
        println!("created");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// A creator that was heard to begin.
fn creator(host: &TestHost, spec: &ContainerSpec) -> (Child, BufReader<std::process::ChildStdout>) {
    let file: PathBuf = host.path("spec.json");
    fs::write(&file, serde_json::to_vec(spec).unwrap()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("COPPICE_TEST_CREATE", file)
        .env("COPPICE_TEST_SHORT", host.layout.short.as_str())
        .env("COPPICE_TEST_DATA", &host.layout.data)
        .env("COPPICE_TEST_RUN", &host.layout.run)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(next(&mut lines), "begin");
    (child, lines)
}

fn next(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn kill(mut creator: Child) {
    creator.kill().unwrap();
    creator.wait().unwrap();
}

fn linked(host: &TestHost, instance: &str) -> ContainerSpec {
    let mut spec = host.spec(instance);
    spec.network = Some(Network {
        bridge: host.layout.bridge.clone(),
        mac: [2, 0, 0, 0, 0, 4],
        ipv4: None,
        ipv6: None,
    });
    spec
}

pub(crate) async fn a_container_outlives_its_creator_and_is_adopted(host: &TestHost) {
    let spec = linked(host, "adopted");
    let (child, mut lines) = creator(host, &spec);
    assert_eq!(next(&mut lines), "created");
    kill(child);
    let backend = host.backend();
    let receipt = backend
        .reconcile(std::slice::from_ref(&spec.instance))
        .await;
    assert!(receipt.is_clean(), "{receipt:?}");
    let life = backend
        .inspect(&spec.instance)
        .await
        .unwrap()
        .running()
        .unwrap();
    // The adopter can do all that the creator could.
    backend
        .create_subcontainer_fs(&spec.instance, &segment("main"), &segment("g1"))
        .await
        .unwrap();
    let waiting = backend.wait_exit(&spec.instance, &life);
    let (exit, stopped) = tokio::join!(
        waiting,
        backend.stop(&spec.instance, Duration::from_secs(5))
    );
    exit.unwrap();
    stopped.unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_killed_monitor_is_a_dead_container_that_can_be_created_anew(host: &TestHost) {
    let backend = host.backend();
    let spec = linked(host, "unwatched");
    let life = backend.create(&spec).await.unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", life.init_pid)).unwrap();
    let monitor: i32 = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split(' ')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    let monitor = nix::unistd::Pid::from_raw(monitor);
    nix::sys::signal::kill(monitor, nix::sys::signal::Signal::SIGKILL).unwrap();
    let waiting = backend.wait_exit(&spec.instance, &life);
    tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap(),
        Inspection::Stopped
    );
    let again = backend.create(&spec).await.unwrap();
    assert_ne!(again.boot, life.boot);
    backend.destroy(&spec.instance).await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time is where the kill falls, not what is waited for"
)]
pub(crate) async fn whatever_a_killed_creator_leaves_is_found_and_removed(host: &TestHost) {
    let backend = host.backend();
    let spec = linked(host, "halfway");
    let mut found = BTreeSet::new();
    let whole = {
        let (child, mut lines) = creator(host, &spec);
        let began = Mono::now();
        assert!(!next(&mut lines).is_empty(), "it was not made");
        let whole = Mono::now().since(began);
        kill(child);
        assert!(!backend.reconcile(&[]).await.has_failures());
        whole
    };
    // The kills fall before, into and after every part of a start.
    for step in 0..16 {
        let after = whole * step / 12;
        let (child, _lines) = creator(host, &spec);
        std::thread::sleep(after);
        kill(child);
        let receipt = backend.reconcile(&[]).await;
        assert!(!receipt.has_failures(), "{receipt:?}");
        found.extend(
            receipt
                .findings
                .iter()
                .map(|finding| format!("{:?}", finding.kind)),
        );
        host.assert_clean(&format!("a kill after {} ms", after.as_millis()))
            .await;
        let again = backend.reconcile(&[]).await;
        assert!(again.is_clean(), "{again:?}");
    }
    println!("  found on the way: {found:?}");
    assert!(
        found.contains("DeadContainer"),
        "no kill fell into a start: {found:?}"
    );
    backend.create(&spec).await.unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_leaked_loop_device_and_stray_layers_are_found(host: &TestHost) {
    let backend = host.backend();
    let leaked = host.layout.data.join("store/leaked.squashfs");
    fs::copy(host.layout.data.join("store/js.squashfs"), &leaked).unwrap();
    crate::run(
        "/sbin/losetup",
        &["--find", "--read-only", leaked.to_str().unwrap()],
    );
    let layer = host.layout.data.join("services/long-gone/sub/g1/upper");
    fs::create_dir_all(&layer).unwrap();
    let spec = host.spec("present");
    let (life, _inside) = host.start(&backend, &spec).await;
    fs::create_dir_all(host.layout.data.join("services/present/sub/never-mounted")).unwrap();
    let known = [spec.instance.clone()];
    let receipt = backend.reconcile(&known).await;
    assert!(!receipt.has_failures(), "{receipt:?}");
    let kinds: Vec<_> = receipt
        .findings
        .iter()
        .map(|finding| finding.kind)
        .collect();
    assert_eq!(
        kinds,
        [Leftover::LoopDevice, Leftover::Layer, Leftover::Layer],
        "{receipt:?}"
    );
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap().running(),
        Some(life)
    );
    backend.destroy(&spec.instance).await.unwrap();
    until("the device is free", async || {
        !host.traces().iter().any(|trace| trace.starts_with("loop"))
    })
    .await;
    fs::remove_dir_all(host.layout.data.join("services/long-gone")).unwrap();
}
