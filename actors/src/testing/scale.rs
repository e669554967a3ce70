//! What many service trees cost: a measurement, and no test.
//!
//! `COPPICE_SCALE=1000 cargo test -p coppice-actors --lib -- --ignored --nocapture scale` (`make bench` does it
//! for 100, 1,000 and 10,000). What is counted is the whole process: the document on a real disk, the trees
//! with their actors, and with them the puppets that live in the containers, each with an agent and a
//! runtime on a connection of its own. Connections are in memory: each would be three files of the process
//! on a machine. Not included is what a container is there.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};

use super::{ID, World, exchange, puppet};
use crate::{
    jobs::{self, Jobs, Source},
    model::{Allocation, DesiredStatus},
    service::{RuntimePhase, ServiceContext},
};

/// How long the trees are looked at while they do nothing.
const IDLE: Duration = Duration::from_secs(20);
/// What a start sets in motion is over after this.
const SETTLE: Duration = Duration::from_secs(5);
/// Nothing measured takes this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// Entries written at once.
const CHUNK: usize = 500;

#[test]
#[ignore = "a measurement of minutes; `make bench` runs it"]
fn scale() {
    let count: usize = std::env::var("COPPICE_SCALE").map_or(100, |count| count.parse().unwrap());
    exchange::share();
    puppet::IN_MEMORY.get_or_init(|| exchange::dial);
    let mut world = World::new();
    let (file, containers) = (world.package(), Arc::clone(&world.containers));
    world.live(None, move |jobs| async move {
        jobs::install(&jobs, Source::File(file)).await.unwrap();
        jobs.take_down(ID).await.unwrap();
        let ids = copies(&jobs, count).await;
        let (before, worked_before, began) = (resident(), ran(), now());
        for id in &ids {
            jobs.start_tree(id).await.unwrap();
        }
        let trees: Vec<Arc<ServiceContext>> =
            ids.iter().map(|id| jobs.host.service(id).unwrap()).collect();
        all(&trees, 0).await;
        let (start, worked) = (began.elapsed(), ran() - worked_before);

        tokio::time::sleep(SETTLE).await;
        let memory = resident();
        let (ran_before, began) = (ran(), now());
        tokio::time::sleep(IDLE).await;
        let idle = (ran() - ran_before).as_secs_f64() / began.elapsed().as_secs_f64();

        print!(
            "{count:>6} trees: start {:.2} s ({:.2} ms of a core each), {:.0} MiB in all ({:.0} KiB each), idle {:.2} % of a core",
            start.as_secs_f64(),
            worked.as_secs_f64() * 1e3 / count as f64,
            memory as f64 / 1_024.0,
            memory.saturating_sub(before) as f64 / count as f64,
            idle * 100.0,
        );

        let tenth: Vec<Arc<ServiceContext>> = trees.iter().step_by(10).cloned().collect();
        // Each had its first runtime of the same generation, the one after that of what it is a copy of.
        let first = generation(&tenth[0]);
        let began = now();
        for tree in &tenth {
            containers.shoot(&tree.instance);
        }
        all(&tenth, first).await;
        let recovery = began.elapsed();
        println!(
            ", a tenth killed and back in {:.2} s ({:.2} ms each)",
            recovery.as_secs_f64(),
            recovery.as_secs_f64() * 1e3 / tenth.len() as f64,
        );
    });
}

/// Writes so many services that are wanted, each like the one that is installed. There are fewer addresses
/// and ranges of user ids than services here; those are given several times, since nothing is made of them.
async fn copies(jobs: &Jobs, count: usize) -> Vec<String> {
    let document = &jobs.host.document;
    let (mut entry, private) = (document.package(ID).unwrap(), document.private(ID).unwrap());
    entry.status_info.desired = DesiredStatus::Running;
    let ids: Vec<String> = (0..count).map(|number| format!("{ID}-{number}")).collect();
    for (chunk, ids) in ids.chunks(CHUNK).enumerate() {
        let (entry, private, ids) = (entry.clone(), private.clone(), ids.to_vec());
        let written = document.transact("scale", "copies", move |transaction| {
            for (number, id) in ids.iter().enumerate() {
                let number = u32::try_from(chunk * CHUNK + number).unwrap();
                let mut private = private.clone();
                private.allocation = Allocation {
                    range: number % Allocation::RANGES,
                    host_number: 2 + number % 4_000,
                };
                transaction.put_package(id, &entry)?;
                transaction.put_private(id, &private);
            }
            Ok(())
        });
        written.await.unwrap();
    }
    for id in &ids {
        fs::create_dir_all(
            jobs.host
                .layout
                .data
                .join("services")
                .join(id)
                .join("volumes/main"),
        )
        .unwrap();
    }
    ids
}

/// Waits until `main` of all of them is up, in a runtime of a generation after `past`.
async fn all(trees: &[Arc<ServiceContext>], past: u64) {
    let up = async {
        for tree in trees {
            let mut phase = tree.phase.subscribe();
            loop {
                if generation(tree) > past && *phase.borrow_and_update() == RuntimePhase::Running {
                    break;
                }
                phase.changed().await.unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, up).await.unwrap();
}

/// The generation of the runtime that is connected.
fn generation(tree: &ServiceContext) -> u64 {
    tree.runtime
        .borrow()
        .as_ref()
        .map_or(0, |link| link.generation)
}

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// How long this process has had a processor, with the threads that have ended.
fn ran() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .unwrap()
        .into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "here time is what is measured, not what decides"
)]
fn now() -> Instant {
    Instant::now()
}
