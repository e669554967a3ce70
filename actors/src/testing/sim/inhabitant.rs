//! Who lives in a simulated container: the agent, the one Node process that it looks after, and what that
//! one starts. They speak the real protocol, take their time, fail and fall silent by chance, and outlive
//! the core.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_wire::{
    Id, Message, Role, RpcError,
    agent::{self, Ack, Killed, ProcessExited, ProcessKind, ProcessList, ProcessStarted, Spawn},
    runtime,
};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::sleep,
};

use super::{
    super::line::Line,
    chance::{Chance, Weather},
    exchange,
    machine::below,
    recorder::Recorder,
};

/// The id of Node's question whether it may end.
const LEAVE: i64 = 7;
/// How long Node has nothing to do before it asks.
const QUIET: Duration = Duration::from_secs(20);
/// Between two tries to reach the core; the real ones take a quarter of a second at most.
const REDIAL: Duration = Duration::from_millis(200);

/// One life of one container, from within.
pub(super) struct Inhabitant {
    socket: PathBuf,
    uid: u32,
    boot: String,
    /// Of the package.
    version: String,
    /// The file that says of which version its data are.
    data: Option<PathBuf>,
    chance: Chance,
    recorder: Recorder,
    /// Ends the container as its pid 1 does.
    end: Box<dyn Fn() + Send + Sync>,
    mind: Mutex<Mind>,
    /// Rung when there is something to report, or a line is to be cut.
    reports: Notify,
}

#[derive(Default)]
struct Mind {
    seq: u64,
    /// Reports that are not acknowledged.
    journal: Vec<(u64, &'static str, Value)>,
    living: BTreeMap<String, ProcessStarted>,
    node: Option<Node>,
    agent: Option<AbortHandle>,
    /// Connections of Node beside its newest.
    second: Vec<AbortHandle>,
}

/// The Node process.
struct Node {
    generation: u64,
    initialised: bool,
    main: bool,
    /// All that `main` runs is kept by the host.
    held: bool,
    /// Whoever starts or ends `main` waits until those before are done with it.
    turn: Arc<tokio::sync::Mutex<()>>,
    task: Option<AbortHandle>,
}

impl Inhabitant {
    pub(super) fn new(
        (socket, uid, boot): (PathBuf, u32, String),
        (version, data): (String, Option<PathBuf>),
        chance: Chance,
        recorder: Recorder,
        end: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            socket,
            uid,
            boot,
            version,
            data,
            chance,
            recorder,
            end: Box::new(end),
            mind: Mutex::default(),
            reports: Notify::new(),
        })
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on, in this life of the core.
    pub(super) fn wake(self: &Arc<Self>) {
        let agent = tokio::spawn(Arc::clone(self).be_agent()).abort_handle();
        let mut mind = self.mind();
        mind.agent = Some(agent);
        if let Some(node) = &mut mind.node {
            let task = tokio::spawn(Arc::clone(self).be_node(node.generation));
            node.task = Some(task.abort_handle());
        }
    }

    /// Nothing in here lives any more.
    pub(super) fn perish(&self) {
        let mut mind = self.mind();
        let node = mind.node.take().and_then(|node| node.task);
        let tasks = [mind.agent.take(), node].into_iter().flatten();
        let second = std::mem::take(&mut mind.second);
        tasks.chain(second).for_each(|task| task.abort());
        mind.living.clear();
    }

    /// Whether the package's `main` is up.
    pub(super) fn main_is_up(&self) -> bool {
        self.mind().node.as_ref().is_some_and(|node| node.main)
    }

    /// Whether no Node process lives.
    pub(super) fn sleeps(&self) -> bool {
        self.mind().node.is_none()
    }

    /// The Node process ends, with all that it started; `false` when there is none. `unseen`: what is
    /// reported of it is lost.
    pub(super) fn lose_node(&self, code: Option<i32>, unseen: bool) -> bool {
        let Some(generation) = self.mind().node.as_ref().map(|node| node.generation) else {
            return false;
        };
        let before = self.mind().journal.len();
        self.end_generation(generation, code, code.map_or(Some(9), |_| None));
        if unseen {
            self.mind().journal.truncate(before);
        }
        true
    }

    /// One process of the package ends by itself; `false` when there is none.
    pub(super) fn lose_daemon(&self, code: i32) -> bool {
        let daemon = {
            let mind = self.mind();
            let mut daemons = mind
                .living
                .values()
                .filter(|one| one.kind == ProcessKind::Exec);
            daemons.next().map(|one| one.id.clone())
        };
        let Some(id) = daemon else { return false };
        self.exited(&id, Some(code), None);
        true
    }

    /// The connections of agent and Node break; both redial.
    pub(super) fn lose_lines(self: &Arc<Self>) {
        let old = {
            let mut mind = self.mind();
            let node = mind.node.as_mut().and_then(|node| node.task.take());
            let second = std::mem::take(&mut mind.second);
            let newest = [mind.agent.take(), node].into_iter().flatten();
            newest.chain(second).collect::<Vec<_>>()
        };
        old.into_iter().for_each(|task| task.abort());
        self.wake();
    }

    /// Node dials a second time, and keeps both connections.
    pub(super) fn dial_twice(self: &Arc<Self>) -> bool {
        let mut mind = self.mind();
        let Some(node) = &mut mind.node else {
            return false;
        };
        let again = tokio::spawn(Arc::clone(self).be_node(node.generation));
        let first = node.task.replace(again.abort_handle());
        mind.second.extend(first);
        true
    }

    fn report(&self, method: &'static str, make: impl FnOnce(u64) -> Value) {
        let mut mind = self.mind();
        mind.seq += 1;
        let seq = mind.seq;
        mind.journal.push((seq, method, make(seq)));
        drop(mind);
        self.reports.notify_one();
    }

    fn started(&self, id: &str, kind: ProcessKind, generation: u64) {
        let mut started = ProcessStarted {
            seq: 0,
            id: id.to_owned(),
            pid: 2,
            kind,
            generation: Some(generation),
            leaf: id.to_owned(),
            root: None,
            argv: vec!["/bin/it".to_owned()],
            daemon: kind == ProcessKind::Exec,
            grace_ms: None,
            at_ms: 0,
        };
        self.report(agent::PROCESS_STARTED, |seq| {
            started.seq = seq;
            json!(started)
        });
        self.mind().living.insert(id.to_owned(), started);
    }

    fn exited(&self, id: &str, code: Option<i32>, signal: Option<i32>) {
        let Some(started) = self.mind().living.remove(id) else {
            return;
        };
        self.report(agent::PROCESS_EXITED, |seq| {
            json!(ProcessExited {
                seq,
                id: id.to_owned(),
                pid: started.pid,
                kind: started.kind,
                generation: started.generation,
                code,
                signal,
                ran_ms: 1,
                oom_kills: None,
                root: None,
                program: started.argv.first().cloned(),
                daemon: started.daemon,
                asked: false,
            })
        });
    }

    /// Ends whatever lives of a generation; gives how much that was.
    fn end_generation(&self, generation: u64, code: Option<i32>, signal: Option<i32>) -> u64 {
        let ids: Vec<(String, ProcessKind)> = {
            let mind = self.mind();
            let of = mind.living.values();
            let of = of.filter(|one| one.generation == Some(generation));
            of.map(|one| (one.id.clone(), one.kind)).collect()
        };
        {
            let mut mind = self.mind();
            if let Some(node) = mind.node.take_if(|node| node.generation == generation) {
                let second = std::mem::take(&mut mind.second);
                node.task
                    .into_iter()
                    .chain(second)
                    .for_each(|task| task.abort());
            }
        }
        for (id, kind) in &ids {
            match kind {
                ProcessKind::Runtime => self.exited(id, code, signal),
                _ => self.exited(id, None, Some(9)),
            }
        }
        ids.len() as u64
    }

    async fn dial(&self, role: Role, generation: Option<u64>) -> Line<DuplexStream> {
        loop {
            self.chance.delay(Weather::Link).await;
            if let Some(stream) = exchange::dial(&self.socket, self.uid)
                && let Some(line) = Line::greet(stream, &self.boot, role, generation).await
            {
                return line;
            }
            sleep(REDIAL).await;
        }
    }

    async fn be_agent(self: Arc<Self>) {
        loop {
            let mut line = self.dial(Role::Agent, None).await;
            let mut told = 0;
            loop {
                let due: Vec<(u64, &str, Value)> = {
                    let mind = self.mind();
                    let due = mind.journal.iter().filter(|(seq, ..)| *seq > told);
                    due.cloned().collect()
                };
                for (seq, method, params) in due {
                    told = seq;
                    let method = method.to_owned();
                    // A core that is gone is noticed below.
                    let _ = line.say(&Message::Notification { method, params }).await;
                }
                let heard = tokio::select! {
                    biased;
                    heard = line.heard() => heard,
                    () = self.reports.notified() => continue,
                };
                let Some((id, method, params)) = heard else {
                    break;
                };
                self.chance.delay(Weather::Agent).await;
                if let Some(answer) = self.serve_agent(&method, params)
                    && !self.chance.strikes(Weather::AgentMute)
                {
                    line.answer(id, answer).await;
                    if method == agent::SHUTDOWN {
                        self.chance.delay(Weather::Agent).await;
                        (self.end)();
                        return;
                    }
                }
            }
        }
    }

    /// What the agent answers; `None` when it does not.
    fn serve_agent(
        self: &Arc<Self>,
        method: &str,
        params: Value,
    ) -> Option<Result<Value, RpcError>> {
        if method != agent::ACK && self.chance.strikes(Weather::AgentDeaf) {
            return None;
        }
        let refused = || Some(Err(RpcError::new(0, "it did not work")));
        match method {
            agent::LIST => {
                let mind = self.mind();
                Some(Ok(json!(ProcessList {
                    processes: mind.living.values().cloned().collect(),
                    seq: mind.seq,
                })))
            }
            agent::SPAWN => {
                let spawn: Spawn = serde_json::from_value(params).ok()?;
                let generation = spawn.generation?;
                if self.chance.strikes(Weather::SpawnFails) {
                    return refused();
                }
                let other = self.mind().node.as_ref().map(|node| node.generation);
                match other {
                    Some(other) if other == generation => {}
                    Some(other) => self.recorder.violated(format!(
                        "generation {generation} of {} was spawned while {other} lived",
                        self.socket.display()
                    )),
                    None => self.spawn_node(&spawn.id, generation),
                }
                Some(Ok(json!(agent::Spawned { pid: 2 })))
            }
            agent::KILL_GENERATION => {
                let which: agent::KillGeneration = serde_json::from_value(params).ok()?;
                let killed = self.end_generation(which.generation, None, Some(9));
                Some(Ok(json!(Killed { killed })))
            }
            agent::ACK => {
                let ack: Ack = serde_json::from_value(params).ok()?;
                self.mind().journal.retain(|(seq, ..)| *seq > ack.seq);
                None
            }
            _ => Some(Ok(Value::Null)),
        }
    }

    /// Whether that holds already: then it is simply so.
    fn is_done(&self, method: &str) -> bool {
        let mind = self.mind();
        mind.node.as_ref().is_some_and(|node| match method {
            runtime::INIT => node.initialised,
            runtime::START => node.main,
            _ => false,
        })
    }

    /// Makes its data those of its version, before it is known whether its `init` will go well; `false` when they
    /// are of a later one.
    fn migrate(&self) -> bool {
        let Some(data) = &self.data else { return true };
        match fs::read_to_string(data) {
            Ok(version) if version > self.version => return false,
            Ok(version) if version == self.version => {}
            _ => fs::write(data, &self.version).unwrap(),
        }
        true
    }

    /// Whether it runs nothing itself.
    fn is_idle(&self, generation: u64) -> bool {
        let mind = self.mind();
        let node = mind.node.as_ref();
        node.is_some_and(|node| node.generation == generation && node.main && node.held)
    }

    fn spawn_node(self: &Arc<Self>, id: &str, generation: u64) {
        self.started(id, ProcessKind::Runtime, generation);
        let silent = self.chance.strikes(Weather::NodeSilent);
        let task = (!silent).then(|| tokio::spawn(Arc::clone(self).be_node(generation)));
        self.mind().node = Some(Node {
            generation,
            initialised: false,
            main: false,
            held: false,
            turn: Arc::default(),
            task: task.map(|task| task.abort_handle()),
        });
    }

    async fn be_node(self: Arc<Self>, generation: u64) {
        loop {
            let mut line = self.dial(Role::Runtime, Some(generation)).await;
            let (done, mut answers) =
                mpsc::unbounded_channel::<(Option<Id>, Result<Value, RpcError>)>();
            loop {
                let idle = self.is_idle(generation);
                let heard = tokio::select! {
                    biased;
                    Some((id, answer)) = answers.recv() => {
                        line.answer(id, answer).await;
                        continue;
                    }
                    heard = line.next() => heard,
                    () = sleep(QUIET), if idle => {
                        let asks = Message::Request {
                            id: Id::Number(LEAVE),
                            method: "fall-asleep".to_owned(),
                            params: json!({ "generation": generation }),
                        };
                        // A core that is gone is noticed by the next read.
                        let _ = line.say(&asks).await;
                        continue;
                    }
                };
                let (id, method) = match heard {
                    Some(Message::Request { id, method, .. }) => (Some(id), method),
                    Some(Message::Notification { method, .. }) => (None, method),
                    Some(Message::Response { id, result }) => {
                        if id == Some(Id::Number(LEAVE)) && result == Ok(Value::Bool(true)) {
                            self.chance.delay(Weather::Exit).await;
                            self.end_generation(generation, Some(0), None);
                            return;
                        }
                        continue;
                    }
                    None => break,
                };
                let (inhabitant, done) = (Arc::clone(&self), done.clone());
                tokio::spawn(async move {
                    if let Some(answer) = inhabitant.serve_node(generation, &method).await {
                        // Nobody reads an answer after the line broke.
                        let _ = done.send((id, answer));
                    }
                });
            }
        }
    }

    /// What the package does when it is asked; `None` when it never answers.
    async fn serve_node(&self, generation: u64, method: &str) -> Option<Result<Value, RpcError>> {
        let (time, hangs, fails) = match method {
            runtime::INIT => (Weather::Init, Weather::InitHangs, Weather::InitFails),
            runtime::START => {
                let mind = self.mind();
                if !mind.node.as_ref().is_some_and(|node| node.initialised) {
                    self.recorder.violated(format!(
                        "generation {generation} was started before its init was done"
                    ));
                }
                (Weather::Start, Weather::StartHangs, Weather::StartFails)
            }
            runtime::STOP => (Weather::Stop, Weather::StopHangs, Weather::StopFails),
            runtime::EXIT => (Weather::Exit, Weather::ExitHangs, Weather::ExitFails),
            _ => return Some(Ok(Value::Null)),
        };
        let turn = Arc::clone(&self.mind().node.as_ref()?.turn);
        let _turn = turn.lock_owned().await;
        let living = self.mind().node.as_ref().map(|node| node.generation);
        if living != Some(generation) {
            return None;
        }
        let migrates = method != runtime::INIT || self.migrate();
        if self.chance.strikes(hangs) {
            return None;
        }
        self.chance.delay(time).await;
        let failed = !migrates || self.chance.strikes(fails) && !self.is_done(method);
        let held = below(2) == 0;
        let up = {
            let mut mind = self.mind();
            let node = mind.node.as_mut()?;
            if node.generation != generation {
                return None;
            }
            match method {
                runtime::INIT => node.initialised |= !failed,
                runtime::START if !node.main && !failed => {
                    node.main = true;
                    node.held = held;
                }
                runtime::START => {}
                _ => node.main = false,
            }
            node.main
        };
        let daemon = format!("daemon-{generation}");
        match (method, up) {
            (runtime::START, true) if self.is_idle(generation) => {}
            (runtime::START, true) => self.started(&daemon, ProcessKind::Exec, generation),
            (runtime::STOP | runtime::EXIT, _) => self.exited(&daemon, Some(0), None),
            _ => {}
        }
        if method == runtime::EXIT && self.chance.strikes(Weather::EndsBeforeAnswer) {
            self.end_generation(generation, Some(i32::from(failed)), None);
            return None;
        }
        Some(if failed {
            Err(RpcError::new(0, "the package said no"))
        } else {
            Ok(Value::Null)
        })
    }
}
