use coppice_wire::{Decoder, Message, Role, RpcError};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::{io::AsyncReadExt, net::UnixStream};

use super::{changes::DELIVERY_PATIENCE, *};
use crate::{
    link::{Accepted, Handler},
    service::{Changed, Clear, Watched, testing},
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
async fn a_service_that_is_removed_is_asked_for_no_longer() {
    let at = testing::host();
    let service = at.installed("a").await;
    let changed = [Changed::One(Watched::Smtp)];
    service.watch(Watched::Smtp, 1).unwrap();
    assert!(service.host.watchers.of(&changed).contains("a"));
    service.host.remove_service("a");
    assert!(service.host.watchers.of(&changed).is_empty());
    // Its successor's registrations are its own, whatever becomes of the one before.
    let next = ServiceContext::new("a", Arc::clone(&at.host)).unwrap();
    next.watch(Watched::Smtp, 1).unwrap();
    service.begin_watching(2);
    assert!(next.host.watchers.of(&changed).contains("a"));
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

/// Stands in for the runtime's actor: what it is told comes out.
struct Ear;

impl ractor::Actor for Ear {
    type Msg = RuntimeMsg;
    type State = tokio::sync::mpsc::UnboundedSender<RuntimeMsg>;
    type Arguments = tokio::sync::mpsc::UnboundedSender<RuntimeMsg>;

    async fn pre_start(
        &self,
        _: ractor::ActorRef<RuntimeMsg>,
        out: Self::Arguments,
    ) -> Result<Self::State, ractor::ActorProcessingErr> {
        Ok(out)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<RuntimeMsg>,
        message: RuntimeMsg,
        out: &mut Self::State,
    ) -> Result<(), ractor::ActorProcessingErr> {
        let _ = out.send(message);
        Ok(())
    }
}

/// A service that sleeps, and what its runtime's actor is told.
async fn sleeper(service: &ServiceContext) -> tokio::sync::mpsc::UnboundedReceiver<RuntimeMsg> {
    let (out, told) = tokio::sync::mpsc::unbounded_channel();
    let (actor, _) = ractor::Actor::spawn(None, Ear, out).await.unwrap();
    service.runtime_slot.set(actor);
    assert!(service.door.shut());
    service.phase.send_replace(RuntimePhase::Asleep);
    told
}

#[tokio::test]
async fn whoever_asks_a_sleeping_runtime_wakes_it_and_waits_until_its_main_is_up() {
    let at = testing::host();
    let service = at.installed("a").await;
    let mut told = sleeper(&service).await;
    let asks = Arc::clone(&service);
    let mut answer = tokio::spawn(async move { asks.visit().await.is_ok() });
    let first = told.recv().await;
    assert!(
        matches!(first, Some(RuntimeMsg::Input(Input::Rouse))),
        "{first:?}"
    );
    service.door.open();
    service.phase.send_replace(RuntimePhase::Waking);
    tokio::time::pause();
    let early = tokio::time::timeout(MAIN_PATIENCE / 2, &mut answer).await;
    assert!(early.is_err(), "`main` does not hear yet");
    service.phase.send_replace(RuntimePhase::Running);
    assert!(answer.await.unwrap());
}

#[tokio::test]
async fn a_change_that_a_sleeping_runtime_waits_for_wakes_it_and_stays_to_be_heard() {
    let at = testing::host();
    let service = at.installed("a").await;
    let mut told = sleeper(&service).await;
    let watched = Watched::Status("c".into());
    service.watch(watched.clone(), 7).unwrap();
    let changed = [Changed::One(watched)];
    service.fire(&[Changed::One(Watched::Smtp)]);
    service.fire(&changed);
    let first = told.recv().await;
    assert!(
        matches!(first, Some(RuntimeMsg::Input(Input::Rouse))),
        "{first:?}"
    );
    assert!(told.try_recv().is_err(), "nobody waited for the other one");
    assert!(service.watches());
    // It stayed awake after all, and hears of it now.
    let missed = service.door.open();
    assert_eq!(missed, changed);
    let mut line = connect(&service);
    service.fire(&missed);
    let params = json!({ "id": 7, "args": [] });
    let method = coppice_wire::runtime::CALLBACK.to_owned();
    assert_eq!(
        heard(&mut line).await,
        Message::Notification { method, params }
    );
    assert!(!service.watches());
}

#[tokio::test]
async fn what_a_sleeper_waited_for_is_lost_with_the_core_that_was_told() {
    let at = testing::host();
    let service = at.installed("a").await;
    for (watches, known, lost) in [(true, 4, true), (false, 4, false), (true, 5, false)] {
        let written = service.update("test", move |entry| {
            entry.asleep = Some(crate::model::Asleep {
                since: coppice_clock::Wall::now(),
                generation: 5,
                container: String::new(),
                watches,
            });
            Ok(())
        });
        written.await.unwrap();
        service.begin_watching(known);
        assert_eq!(service.has_lost_callbacks(5), lost);
    }
}
