//! What the runtime's actor asks of the agent: what lives, start Node, end a generation.

use std::{collections::BTreeSet, sync::Arc};

use coppice_clock::Wall;
use coppice_containers::Inspection;
use coppice_wire::{
    agent::{KILL_GENERATION, KillGeneration, ProcessKind, ProcessList, Spawn},
    paths,
};
use serde_json::json;

use super::{
    super::{
        ServiceContext,
        agent::{self, PATIENCE},
        daemons::hosted,
    },
    step::{Input, SETTLE_DEADLINE},
};
use crate::{link::Peer, model::Asleep};

/// V8 compiles in pieces of up to 32 KB that it takes from malloc and gives back. From the heap of malloc they leave
/// holes that stay resident: 9 MB of them in a Node that compiled 2.6 MB of JavaScript. Mapped each for itself they are gone.
const GLIBC_TUNABLES: &str = "glibc.malloc.mmap_threshold=32768";

pub(super) async fn ask_list(agent: &Peer) -> Result<ProcessList, String> {
    let list = agent::list(agent, PATIENCE).await;
    list.map_err(|error| error.to_string())
}

/// The generation of the Node process that lives.
pub(super) fn live_runtime(list: &ProcessList) -> Option<u64> {
    let processes = list.processes.iter();
    let runtimes = processes.filter(|one| one.kind == ProcessKind::Runtime);
    runtimes.filter_map(|one| one.generation).max()
}

/// The generations to kill before `next` starts: all that have something living, however old (a try
/// that fails uses up a number), and the two before, of which only processes that nobody reported
/// may be left.
fn outlived(list: &ProcessList, next: u64) -> BTreeSet<u64> {
    let known = list.processes.iter().filter_map(|one| one.generation);
    let before = (0..next).rev().take(2);
    known
        .chain(before)
        .filter(|generation| *generation != next)
        .collect()
}

/// What lives in the container, and the generation that comes next; `may_sleep` unless it is wanted awake.
pub(super) async fn find_runtime(
    service: &Arc<ServiceContext>,
    agent: &Peer,
    may_sleep: bool,
) -> Result<Input, String> {
    let live = live_runtime(&ask_list(agent).await?);
    if let Some(generation) = live {
        service.begin_watching(generation);
    }
    let asleep = match live {
        None if may_sleep => sleeping(service).await?,
        _ => None,
    };
    let next = match live.or(asleep) {
        Some(generation) => generation,
        None => {
            let next = service.host.document.next_generation(&service.id).await;
            next.map_err(|error| error.to_string())?
        }
    };
    Ok(Input::AgentUp { live, next, asleep })
}

/// The generation that fell asleep in this container, unless a later one was begun.
async fn sleeping(service: &Arc<ServiceContext>) -> Result<Option<u64>, String> {
    let asleep = service.entry().ok().and_then(|entry| entry.asleep);
    // The note of one that has come back since is taken away beside us.
    let Some(asleep) = asleep.filter(|_| service.may_sleep()) else {
        return Ok(None);
    };
    let is_last = service.host.document.generation(&service.id) == asleep.generation;
    let is_here = container_life(service).await? == asleep.container;
    Ok((is_last && is_here).then_some(asleep.generation))
}

async fn container_life(service: &ServiceContext) -> Result<String, String> {
    let inspected = service.host.backend.inspect(&service.instance).await;
    match inspected.map_err(|error| error.to_string())? {
        Inspection::Running(life) => Ok(life.boot),
        _ => Err("the container does not run".to_owned()),
    }
}

/// Has Node end if nobody is asking it anything; tells whether it may.
pub(super) async fn give_leave(service: &Arc<ServiceContext>, generation: u64) -> bool {
    // An action is asked twice, for its form and to run; in between it is not over.
    if service.exclusive.try_lock().is_err() || !service.door.shut() {
        return false;
    }
    // The next generation has not made them.
    service.forms.forget();
    let noted = async {
        let asleep = Asleep {
            since: Wall::now(),
            generation,
            container: container_life(service).await?,
            watches: service.watches(),
        };
        write_asleep(service, Some(asleep)).await
    };
    // Before the machine takes it for asleep without the note.
    let noted = tokio::time::timeout(SETTLE_DEADLINE / 2, noted).await;
    match noted.unwrap_or_else(|_| Err("the store did not answer in time".to_owned())) {
        Ok(()) => true,
        Err(why) => {
            tracing::warn!(service = service.id, why, "it is not put to sleep");
            // The write may be on its way all the same; this one comes after it.
            if let Err(why) = write_asleep(service, None).await {
                tracing::warn!(service = service.id, why, "it is shown as asleep");
            }
            false
        }
    }
}

async fn write_asleep(service: &Arc<ServiceContext>, asleep: Option<Asleep>) -> Result<(), String> {
    let written = service.update("asleep", move |entry| {
        entry.asleep = asleep;
        Ok(())
    });
    written.await.map_err(|problem| problem.details)
}

pub(super) async fn spawn(service: &Arc<ServiceContext>, generation: u64) -> Result<(), String> {
    let agent = service.agent.borrow().clone().ok_or("the agent hung up")?;
    // An actor that was killed in the middle of this leaves it under way. Its successor waits for that,
    // or it would not see what is being started.
    let _one_at_a_time = service.spawning.lock().await;
    for old in outlived(&ask_list(&agent).await?, generation) {
        let params = json!(KillGeneration { generation: old });
        agent
            .call(KILL_GENERATION, params, PATIENCE)
            .await
            .map_err(|error| error.to_string())?;
    }
    take_subcontainers_away(service).await?;
    let mut env = agent::environment(service.host.lang());
    let sleep_after = service.host.sleep_after;
    env.extend(
        [
            ("HOME", "/root".to_owned()),
            ("COPPICE_GENERATION", generation.to_string()),
            ("GLIBC_TUNABLES", GLIBC_TUNABLES.to_owned()),
            ("NODE_COMPILE_CACHE", paths::COMPILE_CACHE.to_owned()),
        ]
        .into_iter()
        .chain(sleep_after.map(|after| ("COPPICE_SLEEP_AFTER_MS", after.as_millis().to_string())))
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let request = Spawn {
        id: format!("runtime-{generation}"),
        generation: Some(generation),
        leaf: format!("runtime-{generation}"),
        argv: [
            paths::NODE,
            "--experimental-detect-module",
            "--trace-warnings",
            paths::RUNTIME_ENTRY,
        ]
        .map(str::to_owned)
        .to_vec(),
        env,
        cwd: None,
        grace_ms: None,
    };
    let spawned = agent::spawn(&agent, &request).await;
    spawned.map(drop).map_err(|error| error.to_string())
}

/// A runtime that died could not take its subcontainers away, and nobody else knows of them. Those of the
/// daemons that the host keeps running are not its own.
async fn take_subcontainers_away(service: &ServiceContext) -> Result<(), String> {
    let backend = &service.host.backend;
    let kept = hosted::roots(service).map_err(|problem| problem.details)?;
    let left = backend.subcontainers(&service.instance).await;
    let left = left.map_err(|error| error.to_string())?;
    for guid in left
        .into_iter()
        .filter(|guid| !kept.contains(guid.as_str()))
    {
        let taken = backend.destroy_subcontainer_fs(&service.instance, &guid);
        taken.await.map_err(|error| error.to_string())?;
    }
    service.subcontainers().clear();
    Ok(())
}

pub(super) async fn kill_generation(service: &Arc<ServiceContext>, generation: u64) {
    let agent = service.agent.borrow().clone();
    // Without an agent there is no container, and nothing of any generation in it.
    let Some(agent) = agent else { return };
    let params = json!(KillGeneration { generation });
    if let Err(error) = agent.call(KILL_GENERATION, params, PATIENCE).await {
        tracing::warn!(service = service.id, generation, %error, "an old generation was not ended");
    }
}

#[cfg(test)]
mod tests;
