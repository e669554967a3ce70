//! The deterministic backend: what every backend does, and its script.

#![allow(clippy::unwrap_used)]

mod suite;

use std::time::Duration;

use coppice_containers::{
    Backend, Called, ContainerSpec, CreateError, ExitStatus, ImageSpec, InMemoryBackend, Init,
    Inspection, Limits, Usage, VolumeSpec,
};
use suite::segment;

fn spec(instance: &str) -> ContainerSpec {
    ContainerSpec {
        instance: segment(instance),
        id_base: 0x7000_0000,
        hostname: instance.to_owned(),
        lang: "en_US.UTF-8".to_owned(),
        base_image: "/base.squashfs".into(),
        layer_dir: "/layer".into(),
        javascript: "/javascript.squashfs".into(),
        assets: None,
        images: vec![ImageSpec {
            id: segment("main"),
            file: "/main.squashfs".into(),
            env: String::new(),
            json: "{}".to_owned(),
        }],
        volumes: vec![VolumeSpec {
            id: segment("main"),
            dir: "/volume".into(),
        }],
        logs_dir: "/logs".into(),
        cache_dir: "/cache".into(),
        rpc_dir: "/rpc".into(),
        network: None,
        resolv_conf: String::new(),
        devices: Vec::new(),
        limits: Limits::default(),
        init: Init {
            argv: vec!["/usr/bin/coppice-agent".to_owned()],
            env: Vec::new(),
        },
    }
}

#[tokio::test]
async fn the_in_memory_backend_does_what_every_backend_does() {
    suite::everything(&InMemoryBackend::new(), &mut |instance| spec(instance)).await;
}

#[tokio::test]
async fn a_scripted_failure_is_given_once_and_leaves_nothing() {
    let backend = InMemoryBackend::new();
    let spec = spec("hello");
    let start = CreateError::Start {
        instance: spec.instance.clone(),
        log: "no".to_owned(),
    };
    backend.push_create(Err(start));
    assert!(matches!(
        backend.create(&spec).await,
        Err(CreateError::Start { .. })
    ));
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap(),
        Inspection::Stopped
    );
    backend.create(&spec).await.unwrap();
    assert_eq!(
        backend.calls(),
        [
            Called::Create(spec.instance.clone()),
            Called::Create(spec.instance.clone())
        ]
    );
}

#[tokio::test]
async fn a_crash_is_told_with_its_status() {
    let backend = InMemoryBackend::new();
    let spec = spec("hello");
    let life = backend.create(&spec).await.unwrap();
    backend.crash(&spec.instance, ExitStatus::Signal(9));
    let exit = backend.wait_exit(&spec.instance, &life).await.unwrap();
    assert_eq!(exit.status, Some(ExitStatus::Signal(9)));
}

#[tokio::test]
async fn usage_is_what_the_test_says() {
    let backend = InMemoryBackend::new();
    let spec = spec("hello");
    backend.create(&spec).await.unwrap();
    let leaf = segment("d-main-1");
    let usage = Usage {
        pids: Some(3),
        ..Usage::default()
    };
    backend.set_usage(&spec.instance, Some(&leaf), usage.clone());
    assert_eq!(
        backend.usage(&spec.instance, Some(&leaf)).await.unwrap(),
        usage
    );
    assert_eq!(
        backend.usage(&spec.instance, None).await.unwrap(),
        Usage::default()
    );
}

#[tokio::test]
async fn the_same_calls_give_the_same_lives() {
    let mut lives = Vec::new();
    for _ in 0..2 {
        let backend = InMemoryBackend::new();
        let spec = spec("hello");
        backend.create(&spec).await.unwrap();
        backend.stop(&spec.instance, Duration::ZERO).await.unwrap();
        lives.push(backend.create(&spec).await.unwrap());
    }
    assert_eq!(lives[0], lives[1]);
}
