use coppice_wire::{Decoder, Message, Role, RpcError};
use futures_util::future::BoxFuture;
use tokio::{io::AsyncReadExt, net::UnixStream};

use super::*;
use crate::{
    link::{Accepted, Handler},
    service::{Watched, testing},
};

struct Deaf;

impl Handler for Deaf {
    fn request(
        self: Arc<Self>,
        method: String,
        _: Value,
    ) -> BoxFuture<'static, Result<Value, RpcError>> {
        Box::pin(async move { Err(RpcError::method_not_found(&method)) })
    }

    fn notification(&self, _: String, _: Value) {}
}

/// A connected runtime; gives its end of the line.
fn connect(service: &ServiceContext) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let accepted = Accepted::greeted(ours, Role::Runtime);
    service.runtime.send_replace(Some(RuntimeLink {
        generation: 1,
        peer: Peer::serve(accepted, Arc::new(Deaf)),
    }));
    theirs
}

fn peer(service: &ServiceContext) -> Peer {
    service.runtime.borrow().clone().unwrap().peer
}

async fn heard(line: &mut UnixStream) -> Message {
    let (mut decoder, mut buffer) = (Decoder::new(), [0; 4096]);
    loop {
        if let Some(message) = decoder.next() {
            return message.unwrap();
        }
        let length = line.read(&mut buffer).await.unwrap();
        decoder.push(&buffer[..length]);
    }
}

#[tokio::test]
async fn a_runtime_that_does_not_read_keeps_nobody_waiting_and_is_closed() {
    let at = testing::host();
    let (stuck, well) = (at.installed("a").await, at.installed("b").await);
    let _silent = connect(&stuck);
    let mut line = connect(&well);
    let full = peer(&stuck);
    // Great ones until none fits any more, then small ones into what room they left.
    for told in [json!("x".repeat(64 * 1024)), Value::Null] {
        while tokio::time::timeout(Duration::from_millis(50), full.notify("x", told.clone()))
            .await
            .is_ok()
        {}
    }
    let watched = Watched::Status("c".into());
    for service in [&stuck, &well] {
        let registered = service.watch(watched.clone(), 7);
        registered.unwrap();
    }
    stuck.host.tell_watchers(&[Changed::One(watched.clone())]);
    let params = json!({ "id": 7, "args": [] });
    let method = coppice_wire::runtime::CALLBACK.to_owned();
    assert_eq!(
        heard(&mut line).await,
        Message::Notification { method, params }
    );
    tokio::time::pause();
    tokio::time::sleep(DELIVERY_PATIENCE + Duration::from_secs(1)).await;
    assert!(full.has_ended());
    assert!(!peer(&well).has_ended());
}

#[tokio::test]
async fn a_service_is_asked_for_as_long_as_it_watches_something() {
    let at = testing::host();
    let service = at.installed("a").await;
    let changed = |package: &str| Changed::One(Watched::Status(package.into()));
    let asked = |package: &str| service.host.watchers.of(&[changed(package)]).contains("a");
    for (id, package) in (0..).zip(["b", "c", "d", "e"]) {
        service.watch(Watched::Status(package.into()), id).unwrap();
        assert!(asked(package));
    }
    service.fire(&[changed("b")]);
    assert!(!asked("b"), "what fired is not waited for any more");
    service.unwatch(&Clear::Only { only: [1].into() });
    assert!(!asked("c") && asked("d"));
    service.watch(Watched::Hosts("d".into()), 9).unwrap();
    service.unwatch(&Clear::Only { only: [2].into() });
    assert!(asked("d"), "it watches something else of it");
    service.begin_watching(2);
    assert!(!asked("d") && !asked("e"));
}

#[tokio::test]
async fn a_restart_record_is_numbered_and_durable_when_it_is_told() {
    let at = testing::host();
    let service = at.installed("a").await;
    for _ in 0..2 {
        service
            .record(Event::new("daemon main", Cause::Oom { kills: 1 }, "again"))
            .await;
    }
    let records = service.entry().unwrap().restarts;
    assert_eq!(records.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(records[&2].what, "daemon main");
}
