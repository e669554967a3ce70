//! A service's tree over a container that is only kept account of, and in it an agent that writes down
//! what it is told.

mod figures;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use coppice_supervision::{ChildSpec, Intensity, Parking, Supervisor};
use coppice_wire::{
    Message, Role, RpcError,
    agent::{
        KILL_GENERATION, LIST, PROCESS_EXITED, PROCESS_STARTED, ProcessExited, ProcessKind,
        ProcessList, ProcessStarted, SIGNAL, SPAWN, Signal, Spawn,
    },
    codes,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::{
    model::{Cause, DaemonOwner, DesiredStatus},
    service::{
        RuntimePhase, instance_spec,
        testing::{self, TestHost},
    },
    testing::{LONG, Place, dial, until},
};

/// A daemon of this name does not care for SIGTERM.
const STUBBORN: &str = "stubborn";

/// Pid 1 of the container, as far as the host's own processes go.
#[derive(Default)]
struct Agent {
    /// Names, pids and how much patience they were started with.
    alive: Vec<(String, i32, Option<u64>)>,
    pids: i32,
    seq: u64,
    said: Vec<String>,
}

impl Agent {
    fn answer(&mut self, method: &str, params: Value) -> (Result<Value, RpcError>, Vec<Message>) {
        let mut reports = Vec::new();
        let answer = match method {
            LIST => Ok(json!(self.list())),
            SPAWN => {
                let spawn: Spawn = serde_json::from_value(params).unwrap();
                if spawn.generation.is_some() {
                    return (Ok(json!({ "pid": 2 })), reports);
                }
                let known = self.alive.iter().find(|(id, ..)| *id == spawn.id);
                let pid = match known {
                    Some((_, pid, _)) => {
                        self.said.push(format!("found {}", spawn.id));
                        *pid
                    }
                    None => {
                        self.said.push(format!("start {}", spawn.id));
                        self.pids += 1;
                        self.alive
                            .push((spawn.id.clone(), self.pids, spawn.grace_ms));
                        self.seq += 1;
                        let started = self.started(&spawn.id, self.pids, spawn.grace_ms);
                        reports.push(Message::notification(PROCESS_STARTED, &started).unwrap());
                        self.pids
                    }
                };
                Ok(json!({ "pid": pid }))
            }
            SIGNAL => {
                let Signal { id, signal } = serde_json::from_value(params).unwrap();
                self.said.push(format!("signal {signal} {id}"));
                if !self.alive.iter().any(|(other, ..)| *other == id) {
                    let gone = RpcError::new(codes::NOT_FOUND, "gone");
                    return (Err(gone), reports);
                }
                if signal == 9 || !id.starts_with(STUBBORN) {
                    reports.extend(self.die(&id, signal));
                }
                Ok(Value::Null)
            }
            KILL_GENERATION => Ok(json!({ "killed": 0 })),
            _ => Ok(Value::Null),
        };
        (answer, reports)
    }

    fn started(&self, id: &str, pid: i32, grace_ms: Option<u64>) -> ProcessStarted {
        ProcessStarted {
            seq: self.seq,
            id: id.to_owned(),
            pid,
            kind: ProcessKind::Host,
            generation: None,
            leaf: format!("d-{}-host", id.split('.').next().unwrap()),
            root: None,
            argv: vec!["/bin/true".to_owned()],
            daemon: true,
            grace_ms,
            at_ms: 0,
        }
    }

    fn list(&self) -> ProcessList {
        let all = self.alive.iter();
        let all = all.map(|(id, pid, grace_ms)| self.started(id, *pid, *grace_ms));
        ProcessList {
            processes: all.collect(),
            seq: self.seq,
        }
    }

    /// A process ends by a signal; what is reported of it.
    fn die(&mut self, id: &str, signal: i32) -> Option<Message> {
        let at = self.alive.iter().position(|(other, ..)| other == id)?;
        let (id, pid, _) = self.alive.remove(at);
        self.seq += 1;
        let exited = ProcessExited {
            seq: self.seq,
            id,
            pid,
            kind: ProcessKind::Host,
            generation: None,
            code: None,
            signal: Some(signal),
            ran_ms: 1,
            oom_kills: None,
            root: None,
            program: None,
            daemon: true,
            asked: false,
        };
        Message::notification(PROCESS_EXITED, &exited).ok()
    }
}

type Shared = Arc<Mutex<Agent>>;

fn lock(agent: &Shared) -> MutexGuard<'_, Agent> {
    agent.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn play(place: Place, agent: Shared, mut killed: mpsc::UnboundedReceiver<String>) {
    loop {
        let mut line = dial(&place, Role::Agent, None).await;
        loop {
            tokio::select! {
                heard = line.heard() => {
                    let Some((id, method, params)) = heard else { break };
                    let (answer, reports) = lock(&agent).answer(&method, params);
                    line.answer(id, answer).await;
                    for report in reports {
                        line.say(&report).await;
                    }
                }
                Some(id) = killed.recv() => {
                    let report = lock(&agent).die(&id, 9);
                    if let Some(report) = report {
                        line.say(&report).await;
                    }
                }
            }
        }
    }
}

struct Grown {
    at: TestHost,
    agent: Shared,
    kill: mpsc::UnboundedSender<String>,
}

/// One life of the core.
struct Life {
    service: Arc<ServiceContext>,
    root: Supervisor,
    ended: tokio::task::JoinHandle<coppice_supervision::ExitReason>,
}

impl Grown {
    /// A service that is wanted, with a container that runs already. `None` without root's rights.
    async fn begin() -> Option<(Self, Life)> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not tried: run as root");
            return None;
        }
        let at = testing::host();
        // The container's root comes through here to the socket.
        let data = &at.host.layout.data;
        fs::set_permissions(data, fs::Permissions::from_mode(0o711)).unwrap();
        let service = at.installed("a").await;
        at.runs_already(&service).await;
        want(&service, DesiredStatus::Running).await;
        let place = Place {
            socket: at.host.socket_folder("a").join("host.sock"),
            uid: at.host.document.allocation("a").unwrap().id_base(),
            boot: "boot".to_owned(),
            volumes: None,
        };
        let agent = Shared::default();
        let (kill, killed) = mpsc::unbounded_channel();
        tokio::spawn(play(place, Arc::clone(&agent), killed));
        let grown = Self { at, agent, kill };
        let life = grown.live(service).await;
        Some((grown, life))
    }

    async fn live(&self, service: Arc<ServiceContext>) -> Life {
        let parking = Parking {
            intensity: Intensity::new(0, LONG),
            probe: Backoff::doubling(LONG, LONG),
            proven: LONG,
        };
        let spec = SupervisorSpec::parking("services", parking);
        let (root, ended) = Supervisor::start(spec).await.unwrap();
        let root = Supervisor::new(root);
        let tree = ChildSpec::supervisor(instance_spec(&service));
        root.add(tree).await.unwrap();
        Life {
            service,
            root,
            ended,
        }
    }

    /// The core ends, and another begins, which knows what is on the disk.
    async fn next_life(&self, life: Life) -> Life {
        life.root.shutdown();
        life.ended.await.unwrap();
        // The end of a process closes what it has open.
        if let Some(agent) = life.service.agent.send_replace(None) {
            agent.close();
        }
        let host = Arc::clone(&self.at.host);
        let service = ServiceContext::new("a", host).unwrap();
        self.at.host.add_service(Arc::clone(&service));
        self.live(service).await
    }

    async fn said(&self, expected: &[&str]) {
        let wait = async {
            while lock(&self.agent).said != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(LONG, wait).await;
        let said = lock(&self.agent).said.clone();
        assert!(waited.is_ok(), "{said:#?} is not {expected:#?}");
    }
}

async fn want(service: &Arc<ServiceContext>, desired: DesiredStatus) {
    let written = service.update("test", move |entry| {
        entry.status_info.desired = desired;
        Ok(())
    });
    written.await.unwrap();
    service.raise_wish();
}

fn specs(names: &[&str]) -> Vec<DaemonSpec> {
    let all = names.iter().map(|name| {
        let spec = json!({ "id": name, "command": ["/bin/true"], "graceMs": 50 });
        serde_json::from_value(spec).unwrap()
    });
    all.collect()
}

#[tokio::test]
async fn declared_daemons_start_in_order_and_a_stop_ends_them_in_reverse() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    let service = &life.service;
    declare(service, specs(&["a", "b"])).await.unwrap();
    grown.said(&["start a.1", "start b.2"]).await;
    until("both are shown as the host's", || {
        let shown = service.shown.all();
        shown.len() == 2 && shown.values().all(|one| one.owner == DaemonOwner::Host)
    })
    .await;
    want(service, DesiredStatus::Stopped).await;
    service.hosted.emptied().await;
    let all = ["start a.1", "start b.2", "signal 15 b.2", "signal 15 a.1"];
    grown.said(&all).await;
    until("none is shown", || service.shown.all().is_empty()).await;
    assert!(
        service.entry().unwrap().restarts.is_empty(),
        "a stop is no failure"
    );
    // What was declared went with it.
    want(service, DesiredStatus::Running).await;
    declare(service, specs(&["a"])).await.unwrap();
    let all = [&all[..], &["start a.3"]].concat();
    grown.said(&all).await;
}

#[tokio::test]
async fn a_start_right_after_a_stop_does_not_bring_back_what_was_declared_before() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    let service = &life.service;
    declare(service, specs(&["a"])).await.unwrap();
    grown.said(&["start a.1"]).await;
    // Nobody takes the declaration back yet.
    let busy = service.hosted.declaring.lock().await;
    want(service, DesiredStatus::Stopped).await;
    service.hosted.emptied().await;
    want(service, DesiredStatus::Running).await;
    for _ in 0..1000 {
        // Time for the manager, which runs on this thread, to see the wish.
        tokio::task::yield_now().await;
    }
    drop(busy);
    declare(service, specs(&["a"])).await.unwrap();
    grown
        .said(&["start a.1", "signal 15 a.1", "start a.2"])
        .await;
}

#[tokio::test]
async fn a_daemon_that_dies_is_started_again_and_its_record_says_why() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    declare(&life.service, specs(&["a", "b"])).await.unwrap();
    grown.said(&["start a.1", "start b.2"]).await;
    grown.kill.send("a.1".to_owned()).unwrap();
    grown.said(&["start a.1", "start b.2", "start a.1"]).await;
    until("there is a record", || {
        !life.service.entry().unwrap().restarts.is_empty()
    })
    .await;
    let restarts = life.service.entry().unwrap().restarts;
    let record = restarts.values().next().unwrap();
    assert_eq!(record.what, "daemon a");
    assert_eq!(record.cause, Cause::Signal { signal: 9 });
    assert_eq!(record.action, "Coppice starts it again");
}

#[tokio::test]
async fn one_that_does_not_end_when_it_is_asked_is_killed() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    declare(&life.service, specs(&[STUBBORN])).await.unwrap();
    grown.said(&["start stubborn.1"]).await;
    withdraw(&life.service).await.unwrap();
    grown
        .said(&[
            "start stubborn.1",
            "signal 15 stubborn.1",
            "signal 9 stubborn.1",
        ])
        .await;
}

#[tokio::test]
async fn what_is_being_ended_is_not_looked_at_any_more() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    let service = &life.service;
    let checked = |name: &str| -> DaemonSpec {
        let ready = json!({ "name": name, "port": 1, "graceMs": 3_600_000 });
        let spec =
            json!({ "id": name, "command": ["/bin/true"], "graceMs": 30_000, "ready": ready });
        serde_json::from_value(spec).unwrap()
    };
    let checks = || Vec::from_iter(service.entry().unwrap().status_info.health.into_keys());
    // At every turn all looks say what they see.
    let turn = |phase: RuntimePhase| drop(service.phase.send_replace(phase));
    declare(service, vec![checked("page"), checked(STUBBORN)])
        .await
        .unwrap();
    until("both are looked at", || {
        turn(RuntimePhase::Running);
        checks() == ["page", STUBBORN]
    })
    .await;
    declare(service, vec![checked("page")]).await.unwrap();
    let said = ["start page.1", "start stubborn.2", "signal 15 stubborn.2"];
    grown.said(&said).await;
    for _ in 0..3 {
        // What is said of a `main` that is down counts for nothing.
        turn(RuntimePhase::Idle);
        service.reports.clear();
        until("nothing is said", || checks().is_empty()).await;
        until("it is said anew", || {
            turn(RuntimePhase::Running);
            !checks().is_empty()
        })
        .await;
        assert_eq!(checks(), ["page"]);
    }
    grown.said(&said).await;
}

#[tokio::test]
async fn the_next_core_ends_what_is_not_declared_with_the_patience_it_was_started_with() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    declare(&life.service, specs(&[STUBBORN])).await.unwrap();
    grown.said(&["start stubborn.1"]).await;
    // A core that was killed as soon as it had taken the declaration back has left it like this.
    let left = lock(&grown.agent).alive.clone();
    withdraw(&life.service).await.unwrap();
    life.service.hosted.emptied().await;
    lock(&grown.agent).alive = left;
    lock(&grown.agent).said.clear();
    grown.next_life(life).await;
    grown
        .said(&["signal 15 stubborn.1", "signal 9 stubborn.1"])
        .await;
}

#[tokio::test]
async fn the_next_core_adopts_what_is_declared_and_ends_what_is_not() {
    let Some((grown, life)) = Grown::begin().await else {
        return;
    };
    declare(&life.service, specs(&["a", "b"])).await.unwrap();
    grown.said(&["start a.1", "start b.2"]).await;
    until("both have been up", || {
        life.service
            .hosted
            .present()
            .iter()
            .all(|(_, stage)| *stage == plan::Stage::Up)
    })
    .await;
    // A core that was killed between two steps has left this one.
    lock(&grown.agent).alive.push(("x.9".to_owned(), 99, None));
    lock(&grown.agent).said.clear();
    let life = grown.next_life(life).await;
    grown
        .said(&["signal 15 x.9", "found a.1", "found b.2"])
        .await;
    // What died meanwhile is started, and what is declared anew is nothing new.
    declare(&life.service, specs(&["a", "b"])).await.unwrap();
    lock(&grown.agent).said.clear();
    grown.kill.send("b.2".to_owned()).unwrap();
    grown.said(&["start b.2"]).await;
}
