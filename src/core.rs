//! `coppice core`: the part that decides.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use coppice_actors::{
    Coppice,
    base::{Layer, prepare},
    boot::Boot,
    network::Listening,
    receipts::Upgraded,
};
use coppice_api::{
    cli::Common,
    gateway::{self, Retiring},
};
use coppice_containers::{HostLayout, LxcBackend, Segment, prepare_process};
use coppice_heart::{
    FailedListener, HeartToCore, UpgradeOutcome, UpgradeRequest,
    client::{Core, Event, Link},
};
use tokio::sync::watch;

/// How long work that cannot be interrupted (a container being made, a file being hashed) may go on
/// after the forest has ended. All of it may be cut short at any moment and is put right by the next
/// core; without a bound, one call that hangs would keep the heart from starting that core.
const LAST_WORK: Duration = Duration::from_secs(2);

/// How long calls may go on that are under way when another core shall take over. Less than the heart waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How often the heart hears that we are alive: several times within the watchdog of `image/systemd/coppice.service`.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Seconds: long beside a person who tries something out, short beside a day.
const SLEEP_AFTER: u32 = 60;

/// What the heart passes on.
#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    base_image: Option<PathBuf>,
    #[arg(long)]
    hostname: String,
    #[arg(long)]
    listen: IpAddr,
    #[arg(long)]
    https_port: u16,
    #[arg(long)]
    http_port: u16,
    #[arg(long)]
    dns_port: u16,
    /// Seconds, 0 for never; the heart passes its environment on.
    #[arg(long, env = "COPPICE_SLEEP_AFTER", default_value_t = SLEEP_AFTER)]
    sleep_after: u32,
}

pub(crate) fn run(common: &Common, options: Options) -> ExitCode {
    match core(common, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coppice core: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn core(common: &Common, options: Options) -> anyhow::Result<()> {
    let inherited = Core::from_env()?;
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe { prepare_process() };
    let logs = common
        .data_dir
        .as_deref()
        .map(coppice_api::telemetry::folder);
    let telemetry = coppice_api::telemetry::start("core", logs.as_deref())?;
    // Each API request and each service's link is a descriptor, and a shell's usual limit is 1024.
    if let Err(error) = coppice_net::descriptors::raise_to_the_hard_limit() {
        tracing::warn!(%error, "the limit of descriptors was not raised");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (failures, failed) = watch::channel(Vec::new());
    let (outcomes, outcome) = watch::channel(None);
    let retiring = Retiring::default();
    let retired = retiring.clone();
    let link = Arc::new(inherited.heart.listen(move |event| match event {
        // What cannot be opened now is tried again by the heart; only the newest list counts.
        Event::Message(HeartToCore::Listeners { failed }) => {
            failures.send_replace(failed);
        }
        Event::Message(HeartToCore::Upgraded(outcome)) => {
            outcomes.send_replace(Some(outcome));
        }
        Event::Message(HeartToCore::Retire) => retired.begin(),
        Event::HeartGone => crate::heart_gone::end(),
    })?);
    let last_words = Arc::clone(&link);
    let ended = runtime.block_on(async {
        let data = common
            .data_dir
            .clone()
            .context("the heart says where the data is")?
            .canonicalize()?;
        let short = std::fs::read_to_string(data.join("id"))?;
        let layout = HostLayout::new(Segment::new(short.trim())?, data.clone());
        let layer = Layer {
            agent: crate::embedded::AGENT,
            runtime: crate::embedded::RUNTIME,
        };
        let (base_image, layer) =
            prepare(&data.join("base"), options.base_image.as_deref(), layer)?;
        let publisher = Arc::clone(&link);
        let opened = Boot {
            examiner: coppice_api::cli::examiner()?,
            backend: Arc::new(LxcBackend::new(layout.clone())?),
            layout,
            base_image,
            layer,
            hostname: options.hostname,
            sleep_after: (options.sleep_after > 0)
                .then(|| Duration::from_secs(options.sleep_after.into())),
            listening: Listening {
                address: options.listen,
                http: options.http_port,
                https: options.https_port,
                dns: options.dns_port,
            },
            publish: Arc::new(move |listeners, table| {
                if let Err(error) = publisher.publish(listeners, &table) {
                    tracing::error!(%error, "the routing table was not published");
                }
            }),
        }
        .open()
        .await?;
        let (stopper, upgrader) = (Arc::clone(&link), Arc::clone(&link));
        let (root, edge, doors) = (inherited.api, inherited.edge, retiring.clone());
        let (coppice, ended) = opened
            .plant(move |coppice| {
                gateway::child(gateway::Doors {
                    root,
                    edge,
                    coppice,
                    stop: Arc::new(move |_| stopper.stop()),
                    upgrade: Arc::new(move |attempt, program| {
                        upgrader.upgrade(UpgradeRequest { attempt, program });
                    }),
                    retiring: doors,
                })
            })
            .await?;
        link.ready();
        tracing::info!("ready");
        tokio::spawn(show_closed_ports(coppice.clone(), failed));
        tokio::spawn(show_upgrades(coppice.clone(), outcome));
        tokio::spawn(stay_alive(coppice.clone(), link));
        tokio::select! {
            ended = ended => {
                ended?;
                anyhow::bail!("the root supervisor gave up; the heart starts the core anew")
            }
            () = retiring.begun() => {
                tracing::info!("another core shall take over; ending what is under way");
                // What takes longer is cut short, as by any other end.
                let _ = tokio::time::timeout(ANSWERED_WITHIN, retiring.ended()).await;
                coppice.host().document.store().clone().close().await;
                Ok(())
            }
        }
    });
    if let Err(error) = &ended {
        last_words.last_words(format!("{error:#}"));
    }
    runtime.shutdown_timeout(LAST_WORK);
    drop(telemetry);
    ended
}

async fn show_closed_ports(coppice: Coppice, mut failed: watch::Receiver<Vec<FailedListener>>) {
    while failed.changed().await.is_ok() {
        let failed = failed.borrow_and_update().clone();
        let closed = failed
            .into_iter()
            .map(|one| format!("{}: {}", one.id, one.error));
        coppice.show_closed_ports(closed.collect()).await;
    }
}

/// Shows how the last upgrade ended, which may have been before this core.
async fn show_upgrades(coppice: Coppice, mut outcome: watch::Receiver<Option<UpgradeOutcome>>) {
    loop {
        let known = outcome.borrow_and_update().clone();
        if let Some(UpgradeOutcome { request, problem }) = known {
            let upgraded = Upgraded {
                attempt: request.attempt,
                program: request.program.display().to_string(),
                problem,
            };
            coppice.show_upgrade(&upgraded).await;
        }
        if outcome.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the heart, and so systemd, that the root supervisor answers.
async fn stay_alive(coppice: Coppice, link: Arc<Link<HeartToCore>>) {
    let mut every = tokio::time::interval(ALIVE_EVERY);
    loop {
        every.tick().await;
        if coppice.is_alive().await {
            link.alive();
        }
    }
}
