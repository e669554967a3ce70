//! Cgroups of real containers.

use std::time::Duration;

use coppice_containers::{Backend, Limits};

use crate::host::TestHost;

pub(crate) async fn limits_bind_and_usage_is_counted(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("bounded");
    spec.limits = Limits {
        memory_bytes: Some(64 << 20),
        pids: Some(12),
        cpu_weight: Some(50),
    };
    let (_, mut inside) = host.start(&backend, &spec).await;
    let usage = backend.usage(&spec.instance, None).await.unwrap();
    assert_eq!(usage.pids, Some(1), "{usage:?}");
    assert!(
        usage.memory_bytes.is_some_and(|bytes| bytes > 0),
        "{usage:?}"
    );
    assert!(usage.working_set_bytes <= usage.memory_bytes, "{usage:?}");
    assert!(usage.cpu_us.is_some_and(|us| us > 0), "{usage:?}");
    assert_eq!(usage.oom_kills, Some(0));
    inside.expect(&["fork-until-refused", "50"], "11");

    let wider = Limits {
        pids: Some(20),
        ..spec.limits.clone()
    };
    backend.set_limits(&spec.instance, &wider).await.unwrap();
    until("the forked processes are gone", async || {
        backend.usage(&spec.instance, None).await.unwrap().pids == Some(1)
    })
    .await;
    inside.expect(&["fork-until-refused", "50"], "19");
    let nobody = crate::suite::segment("no-such-leaf");
    let none = backend.usage(&spec.instance, Some(&nobody)).await.unwrap();
    assert_eq!(none.memory_bytes, None, "what is not counted is absent");
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn an_oom_kill_is_counted(host: &TestHost) {
    let backend = host.backend();
    let mut spec = host.spec("hungry");
    spec.limits = Limits {
        memory_bytes: Some(32 << 20),
        ..Limits::default()
    };
    let (life, mut inside) = host.start(&backend, &spec).await;
    inside.ask(&["eat-memory", "200"]).unwrap();
    until("the kill is counted", async || {
        backend.usage(&spec.instance, None).await.unwrap().oom_kills == Some(1)
    })
    .await;
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap().running(),
        Some(life)
    );
    backend.destroy(&spec.instance).await.unwrap();
}

/// Waits for a state that has no event of its own.
pub(crate) async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}
