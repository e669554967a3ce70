//! Requests of the host.
//!
//! Invariant: every request is answered exactly once, at once, except `kill-generation`, which is
//! answered when nothing of that generation is alive. Repeating a request is harmless.

use std::collections::BTreeSet;

use coppice_clock::Mono;
use coppice_wire::{
    Id, Message, RpcError,
    agent::{
        ACK, Ack, KILL_GENERATION, KillGeneration, Killed, LIST, ProcessKind, ProcessList,
        ProcessStarted, SHUTDOWN, SIGNAL, SPAWN, Shutdown, Spawn, Spawned, is_safe_name,
    },
    codes,
};
use nix::{errno::Errno, unistd::Pid};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    agent::Agent,
    cgroups::AGENT_LEAF,
    ending::Phase,
    link,
    processes::Process,
    report::crop,
    spawn::{self, SpawnError},
};

/// How much of each command line a list shows: a thousand of them must fit in one line.
const LISTED_ARGV_BYTES: usize = 512;

/// A generation that has to die before the request is answered.
pub(super) struct PendingKill {
    id: Option<Id>,
    generation: u64,
    killed: BTreeSet<i32>,
}

impl Agent {
    pub(super) fn take_host_message(&mut self, message: Message, now: Mono) {
        match message {
            Message::Request { id, method, params } => {
                if let Some(result) = self.answer(&id, &method, params, now) {
                    // Reports first: the host knows of a process before it has its pid as an answer.
                    self.pump(now);
                    self.respond(id, result, now);
                }
            }
            Message::Notification { method, params } => {
                if let (ACK, Ok(ack)) = (method.as_str(), read::<Ack>(ACK, params)) {
                    self.journal.ack(ack.seq);
                }
            }
            // The agent asks nothing but hello, which the link itself reads.
            Message::Response { .. } => {}
        }
    }

    /// The answer, or `None` when it comes later.
    fn answer(
        &mut self,
        id: &Id,
        method: &str,
        params: Value,
        now: Mono,
    ) -> Option<Result<Value, RpcError>> {
        let result = match method {
            SPAWN => read(method, params).and_then(|spawn| self.spawn(&spawn)),
            SIGNAL => read(method, params).and_then(|signal| self.signal(&signal)),
            LIST => self.list(),
            ACK => read::<Ack>(method, params).map(|ack| {
                self.journal.ack(ack.seq);
                Value::Null
            }),
            SHUTDOWN => read::<Shutdown>(method, params).map(|shutdown| {
                self.begin_ending(std::time::Duration::from_millis(shutdown.grace_ms), now);
                Value::Null
            }),
            KILL_GENERATION => match read::<KillGeneration>(method, params) {
                Ok(kill) => {
                    self.kills.push(PendingKill {
                        id: Some(id.clone()),
                        generation: kill.generation,
                        killed: BTreeSet::new(),
                    });
                    return None;
                }
                Err(error) => Err(error),
            },
            other => Err(RpcError::method_not_found(other)),
        };
        Some(result)
    }

    fn respond(&mut self, id: Id, result: Result<Value, RpcError>, now: Mono) {
        let too_long = || RpcError::new(codes::UNKNOWN, "the answer is too long for one line");
        let line = link::line(&Message::response(id.clone(), result))
            .or_else(|| link::line(&Message::response(id, Err(too_long()))));
        if let Some(line) = line {
            self.link.send(&line, now);
        }
    }

    fn spawn(&mut self, spawn: &Spawn) -> Result<Value, RpcError> {
        if !matches!(self.phase, Phase::Serving) {
            return Err(refused("the container is shutting down"));
        }
        if !is_safe_name(&spawn.id, 64) {
            return Err(refused("`id` must be 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        if !is_safe_name(&spawn.leaf, 128) || spawn.leaf == AGENT_LEAF {
            return Err(refused(
                "`leaf` must be 1 to 128 of A-Z a-z 0-9 . _ - and not `agent`",
            ));
        }
        if let Some(alive) = self.processes.by_id(&spawn.id) {
            return json(&Spawned {
                pid: alive.started.pid,
            });
        }
        let dying = |kill: &PendingKill| Some(kill.generation) == spawn.generation;
        if self.kills.iter().any(dying) {
            return Err(refused(
                "this generation is being killed; wait for the answer to that",
            ));
        }
        let oom_before = self.cgroups.oom_kills(&spawn.leaf);
        let child = match self.standbys.take(spawn) {
            Some(waiting) => waiting.go(),
            None => spawn::spawn(spawn, &self.boot, &self.cgroups),
        };
        let child = child.map_err(spawn_failed)?;
        if spawn.generation.is_none() {
            self.standbys.started(spawn, Mono::now());
        }
        self.leaves.insert(spawn.leaf.clone(), spawn.generation);
        let started = ProcessStarted {
            seq: 0,
            id: spawn.id.clone(),
            pid: child.pid,
            kind: match spawn.generation {
                Some(_) => ProcessKind::Runtime,
                None => ProcessKind::Host,
            },
            generation: spawn.generation,
            leaf: spawn.leaf.clone(),
            root: None,
            argv: spawn.argv.clone(),
            daemon: true,
            grace_ms: spawn.grace_ms,
            at_ms: 0,
        };
        let process = Process::begin(started, None, oom_before);
        self.watch_outputs(&process, child.out, child.err);
        self.journal_start(process);
        json(&Spawned { pid: child.pid })
    }

    fn signal(&mut self, signal: &coppice_wire::agent::Signal) -> Result<Value, RpcError> {
        let gone = || RpcError::new(codes::NOT_FOUND, "no such process is alive");
        if !(1..=64).contains(&signal.signal) {
            return Err(refused("`signal` must be 1 to 64"));
        }
        let process = self.processes.by_id(&signal.id).ok_or_else(gone)?;
        // SAFETY: kill takes two numbers; the pid is positive and still ours (see `processes`).
        let sent = unsafe { libc::kill(process.started.pid, signal.signal) };
        match Errno::result(sent) {
            Ok(_) => Ok(Value::Null),
            Err(Errno::ESRCH) => Err(gone()),
            Err(errno) => Err(refused(&format!("the signal could not be sent: {errno}"))),
        }
    }

    fn list(&self) -> Result<Value, RpcError> {
        let mut processes: Vec<ProcessStarted> = self
            .processes
            .iter()
            .map(|process| process.started.clone())
            .collect();
        for process in &mut processes {
            crop(&mut process.argv, LISTED_ARGV_BYTES);
        }
        json(&ProcessList {
            processes,
            seq: self.journal.newest(),
        })
    }

    /// Signals what is left of dying generations, and answers for those that are gone.
    pub(super) fn progress_kills(&mut self, now: Mono) {
        let mut finished = Vec::new();
        for kill in &mut self.kills {
            let mine = Some(kill.generation);
            let mut alive = false;
            // The table first: it holds Node, which would start again what dies before it. It also
            // knows those whose leaf could not be made or was left.
            for process in self
                .processes
                .iter()
                .filter(|process| process.started.generation == mine)
            {
                let pid = process.started.pid;
                if nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::SIGKILL).is_ok() {
                    kill.killed.insert(pid);
                }
                alive = true;
            }
            for (leaf, _) in self.leaves.iter().filter(|(_, owner)| **owner == mine) {
                if !self.cgroups.pids(leaf).is_empty() {
                    kill.killed.extend(self.cgroups.kill(leaf));
                    alive = true;
                }
            }
            if !alive {
                finished.push((kill.id.take(), kill.generation, kill.killed.len()));
            }
        }
        self.kills.retain(|kill| kill.id.is_some());
        for (id, generation, killed) in finished {
            let leaves: Vec<String> = self
                .leaves
                .iter()
                .filter(|(_, owner)| **owner == Some(generation))
                .map(|(leaf, _)| leaf.clone())
                .collect();
            for leaf in leaves {
                self.cgroups.remove(&leaf);
                self.leaves.remove(&leaf);
                self.idle_leaves.remove(&leaf);
            }
            if let Some(id) = id {
                self.pump(now);
                let killed = u64::try_from(killed).unwrap_or(u64::MAX);
                self.respond(id, json(&Killed { killed }), now);
            }
        }
    }
}

fn read<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params).map_err(|error| RpcError::invalid_params(method, &error))
}

fn json(value: &impl Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| {
        RpcError::new(
            codes::UNKNOWN,
            format!("the answer has no JSON form: {error}"),
        )
    })
}

fn refused(why: &str) -> RpcError {
    RpcError::new(codes::INVALID_REQUEST, why)
}

fn spawn_failed(error: SpawnError) -> RpcError {
    let code = match &error {
        SpawnError::NoProgram { .. } | SpawnError::ZeroByte { .. } => codes::INVALID_REQUEST,
        SpawnError::Exec { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            codes::NOT_FOUND
        }
        SpawnError::Cgroup(_) | SpawnError::Prepare { .. } | SpawnError::Exec { .. } => {
            codes::FILESYSTEM
        }
    };
    let mut error: Option<&dyn std::error::Error> = Some(&error);
    let mut text = String::new();
    while let Some(cause) = error {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        error = cause.source();
    }
    RpcError::new(code, text)
}
