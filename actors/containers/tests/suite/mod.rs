//! What every backend does. Both pass the same tests.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::time::Duration;

use coppice_containers::{
    Backend, ContainerSpec, CreateError, FileKind, IdMapping, Inspection, Leftover, Limits,
    OpError, Segment, VolumeMount,
};

/// A name that the test knows to be one.
pub(crate) fn segment(text: &str) -> Segment {
    Segment::new(text).expect("a test's names are segments")
}

/// Runs everything below, each with a fresh specification.
pub(crate) async fn everything(backend: &dyn Backend, spec: &mut dyn FnMut(&str) -> ContainerSpec) {
    a_created_container_runs_until_it_is_stopped(backend, spec("stops")).await;
    creating_over_a_running_container_is_refused(backend, spec("twice")).await;
    a_stopped_container_is_created_anew_with_another_life(backend, spec("anew")).await;
    a_container_stopped_while_it_is_made_is_gone_afterwards(backend, spec("hasty")).await;
    stopping_killing_and_destroying_what_is_not_there_is_fine(backend).await;
    what_needs_a_running_container_says_so(backend, &spec("absent")).await;
    an_exit_is_told_to_everyone_who_waits(backend, spec("waits")).await;
    subcontainers_come_and_go(backend, spec("subs")).await;
    paths_that_climb_are_refused(backend, spec("climbs")).await;
    reconciling_keeps_the_known_and_removes_the_rest(backend, spec("known"), spec("unknown")).await;
}

async fn a_created_container_runs_until_it_is_stopped(backend: &dyn Backend, spec: ContainerSpec) {
    let life = backend.create(&spec).await.unwrap();
    let found = backend.inspect(&spec.instance).await.unwrap();
    assert_eq!(found, Inspection::Running(life.clone()));
    let used = backend.files_in_use().await.unwrap();
    for file in [&spec.base_image, &spec.layer_dir, &spec.images[0].file] {
        assert!(used.contains(file), "{file:?} is not in {used:?}");
    }
    backend
        .set_limits(
            &spec.instance,
            &Limits {
                pids: Some(99),
                ..Limits::default()
            },
        )
        .await
        .unwrap();
    backend
        .stop(&spec.instance, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap(),
        Inspection::Stopped
    );
    // Of a life that is over the exit comes at once.
    backend.wait_exit(&spec.instance, &life).await.unwrap();
    backend.destroy(&spec.instance).await.unwrap();
    let used = backend.files_in_use().await.unwrap();
    assert!(!used.contains(&spec.layer_dir), "{used:?}");
}

async fn creating_over_a_running_container_is_refused(backend: &dyn Backend, spec: ContainerSpec) {
    let life = backend.create(&spec).await.unwrap();
    let refused = backend.create(&spec).await.unwrap_err();
    assert!(
        matches!(refused, CreateError::AlreadyRunning { .. }),
        "{refused}"
    );
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap().running(),
        Some(life)
    );
    backend.destroy(&spec.instance).await.unwrap();
}

async fn a_stopped_container_is_created_anew_with_another_life(
    backend: &dyn Backend,
    spec: ContainerSpec,
) {
    let first = backend.create(&spec).await.unwrap();
    backend.kill(&spec.instance).await.unwrap();
    let second = backend.create(&spec).await.unwrap();
    assert_ne!(first.boot, second.boot);
    backend.wait_exit(&spec.instance, &first).await.unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}

async fn a_container_stopped_while_it_is_made_is_gone_afterwards(
    backend: &dyn Backend,
    spec: ContainerSpec,
) {
    // A start takes some tens of milliseconds: the stop falls into its parts.
    for wait_ms in [0, 5, 10, 20, 40, 80] {
        let stop_and_destroy = async {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            backend.stop(&spec.instance, Duration::from_secs(1)).await?;
            backend.destroy(&spec.instance).await
        };
        let (created, destroyed) = tokio::join!(backend.create(&spec), stop_and_destroy);
        created.unwrap();
        destroyed.unwrap();
        assert_eq!(
            backend.inspect(&spec.instance).await.unwrap(),
            Inspection::Stopped
        );
        assert_eq!(backend.reconcile(&[]).await.findings, []);
    }
}

async fn stopping_killing_and_destroying_what_is_not_there_is_fine(backend: &dyn Backend) {
    let nobody = segment("nobody");
    assert_eq!(backend.inspect(&nobody).await.unwrap(), Inspection::Stopped);
    for _ in 0..2 {
        backend.stop(&nobody, Duration::from_secs(1)).await.unwrap();
        backend.kill(&nobody).await.unwrap();
        backend.destroy(&nobody).await.unwrap();
        backend
            .destroy_subcontainer_fs(&nobody, &segment("g1"))
            .await
            .unwrap();
    }
}

async fn what_needs_a_running_container_says_so(backend: &dyn Backend, spec: &ContainerSpec) {
    let (instance, guid) = (&spec.instance, segment("g1"));
    let not_running = |outcome: Result<(), OpError>| {
        assert!(
            matches!(outcome, Err(OpError::NotRunning { .. })),
            "{outcome:?}"
        );
    };
    not_running(
        backend
            .create_subcontainer_fs(instance, &spec.images[0].id, &guid)
            .await,
    );
    not_running(
        backend
            .mount_into(instance, &volume_mount(spec, "/mnt/x"))
            .await,
    );
    not_running(backend.set_limits(instance, &Limits::default()).await);
    not_running(backend.usage(instance, None).await.map(|_| ()));
}

async fn an_exit_is_told_to_everyone_who_waits(backend: &dyn Backend, spec: ContainerSpec) {
    let life = backend.create(&spec).await.unwrap();
    let one = backend.wait_exit(&spec.instance, &life);
    let other = backend.wait_exit(&spec.instance, &life);
    let kill = backend.kill(&spec.instance);
    let (one, other, killed) = tokio::join!(one, other, kill);
    assert_eq!(one.unwrap(), other.unwrap());
    killed.unwrap();
    backend.destroy(&spec.instance).await.unwrap();
}

async fn subcontainers_come_and_go(backend: &dyn Backend, spec: ContainerSpec) {
    backend.create(&spec).await.unwrap();
    let (instance, image, guid) = (&spec.instance, &spec.images[0].id, segment("g1"));
    let unknown = backend
        .create_subcontainer_fs(instance, &segment("none"), &guid)
        .await;
    assert!(
        matches!(unknown, Err(OpError::UnknownImage { .. })),
        "{unknown:?}"
    );
    for _ in 0..2 {
        backend
            .create_subcontainer_fs(instance, image, &guid)
            .await
            .unwrap();
    }
    let listed = async || backend.subcontainers(instance).await.unwrap();
    assert_eq!(listed().await, std::slice::from_ref(&guid));
    for _ in 0..2 {
        backend
            .destroy_subcontainer_fs(instance, &guid)
            .await
            .unwrap();
    }
    assert_eq!(listed().await, []);
    let again = backend.create_subcontainer_fs(instance, image, &guid);
    again.await.unwrap();
    backend.destroy(instance).await.unwrap();
    assert_eq!(listed().await, [], "it went with its container");
}

async fn paths_that_climb_are_refused(backend: &dyn Backend, spec: ContainerSpec) {
    backend.create(&spec).await.unwrap();
    for (subpath, target) in [
        ("../x", "/mnt"),
        ("a", "/mnt/../../x"),
        ("a", "mnt"),
        ("a", "/"),
    ] {
        let mut mount = volume_mount(&spec, target);
        mount.subpath = subpath.into();
        let refused = backend.mount_into(&spec.instance, &mount).await;
        assert!(
            matches!(refused, Err(OpError::UnusablePath { .. })),
            "{refused:?}"
        );
    }
    let endless = "/a".repeat(1 << 20);
    for (subpath, target) in [(endless.as_str(), "/mnt"), ("a", &endless)] {
        let mut mount = volume_mount(&spec, target);
        mount.subpath = subpath.into();
        let refused = backend.mount_into(&spec.instance, &mount).await;
        let Err(OpError::UnusablePath { path, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert!(path.as_os_str().len() < 100, "nobody reads all of it");
    }
    let mut mount = volume_mount(&spec, "/mnt/ids");
    mount.idmap = (0..400)
        .map(|n| IdMapping {
            from_id: n * 2,
            to_id: 30_000 + n * 3,
            range: 1,
        })
        .collect();
    let refused = backend.mount_into(&spec.instance, &mount).await;
    assert!(matches!(refused, Err(OpError::IdMap(_))), "{refused:?}");
    backend.destroy(&spec.instance).await.unwrap();
}

async fn reconciling_keeps_the_known_and_removes_the_rest(
    backend: &dyn Backend,
    known: ContainerSpec,
    unknown: ContainerSpec,
) {
    let life = backend.create(&known).await.unwrap();
    backend.create(&unknown).await.unwrap();
    let receipt = backend
        .reconcile(std::slice::from_ref(&known.instance))
        .await;
    assert!(!receipt.has_failures(), "{receipt:?}");
    let kinds: Vec<_> = receipt
        .findings
        .iter()
        .map(|f| (f.kind, f.what.as_str()))
        .collect();
    assert!(
        kinds.contains(&(Leftover::UnknownContainer, "unknown")),
        "{kinds:?}"
    );
    assert_eq!(
        backend.inspect(&known.instance).await.unwrap().running(),
        Some(life)
    );
    assert_eq!(
        backend.inspect(&unknown.instance).await.unwrap(),
        Inspection::Stopped
    );
    let again = backend
        .reconcile(std::slice::from_ref(&known.instance))
        .await;
    assert!(again.is_clean(), "{again:?}");
    backend.destroy(&known.instance).await.unwrap();
    let again = backend.reconcile(&[]).await;
    assert!(again.is_clean(), "{again:?}");
}

/// The first volume, whole, mounted once more at `target`.
pub(crate) fn volume_mount(spec: &ContainerSpec, target: &str) -> VolumeMount {
    VolumeMount {
        source: spec.volumes[0].dir.clone(),
        subpath: "".into(),
        target: target.into(),
        readonly: false,
        idmap: Vec::new(),
        kind: FileKind::Infer,
    }
}
