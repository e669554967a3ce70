//! From the death of a child to its successor being up, many times over: median and 99th
//! percentile.
//!
//! `cargo run -p coppice-supervision --example restart_latency -- 10000`

use std::time::Duration;

use coppice_supervision::{
    ChildSpec, ExitReason, Failure, SupervisionEvent, Supervisor, SupervisorSpec, What,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::mpsc, time::Instant};

struct Mortal;

/// Die.
struct Die;

impl Actor for Mortal {
    type Msg = Die;
    type State = ();
    type Arguments = mpsc::UnboundedSender<ActorRef<Die>>;

    async fn pre_start(
        &self,
        myself: ActorRef<Die>,
        cradle: Self::Arguments,
    ) -> Result<(), ActorProcessingErr> {
        cradle.send(myself)?;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Die>,
        Die: Die,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Err(ExitReason::Abnormal(Failure::text("told to")).into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(2_000), |n| n.parse())?;
    let (cradle, mut born) = mpsc::unbounded_channel();
    let (events, mut ups) = mpsc::unbounded_channel();
    let spec = SupervisorSpec::one_for_one("root")
        .intensity(u32::MAX, Duration::from_secs(1))
        .observer(move |event: SupervisionEvent| {
            if matches!(event.what, What::Started { .. }) {
                // The receiver lives as long as `main`.
                let _ = events.send(());
            }
        })
        .child(ChildSpec::worker("mortal", move |child| {
            let cradle = cradle.clone();
            async move { child.spawn(Mortal, cradle).await }
        }));
    let (root, _ended) = Supervisor::start(spec).await?;
    ups.recv().await;
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let child = born.recv().await.ok_or("the child was born")?;
        let start = Instant::now();
        child.cast(Die)?;
        ups.recv().await.ok_or("the supervisor lives")?;
        took.push(start.elapsed());
    }
    took.sort();
    println!(
        "{rounds} restarts: p50 {:?}, p99 {:?}",
        took[rounds / 2],
        took[rounds * 99 / 100]
    );
    Supervisor::new(root).shutdown();
    Ok(())
}
