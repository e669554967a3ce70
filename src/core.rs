//! `coppice core`: the part that decides.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use coppice_actors::{
    base::{Layer, prepare},
    boot::Boot,
    network::Listening,
};
use coppice_api::{cli::Common, gateway};
use coppice_containers::{HostLayout, LxcBackend, Segment, prepare_process};
use coppice_heart::{
    HeartToCore,
    client::{Core, Event},
};
use tokio::sync::watch;

/// How long work that cannot be interrupted (a container being made, a file being hashed) may go on
/// after the forest has ended. All of it may be cut short at any moment and is put right by the next
/// core; without a bound, one call that hangs would keep the heart from starting that core.
const LAST_WORK: Duration = Duration::from_secs(2);

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
    let telemetry = coppice_api::telemetry::start("core")?;
    // Each API request and each service's link is a descriptor, and a shell's usual limit is 1024.
    if let Err(error) = coppice_net::descriptors::raise_to_the_hard_limit() {
        tracing::warn!(%error, "the limit of descriptors was not raised");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (failures, mut failed) = watch::channel(Vec::new());
    let link = Arc::new(inherited.heart.listen(move |event| match event {
        // What cannot be opened now is tried again by the heart; only the newest list counts.
        Event::Message(HeartToCore::Listeners { failed }) => {
            failures.send_replace(failed);
        }
        Event::HeartGone => crate::heart_gone::end(),
    })?);
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
        let stopper = Arc::clone(&link);
        let (root, edge) = (inherited.api, inherited.edge);
        let (coppice, ended) = opened
            .plant(move |coppice| {
                gateway::child(gateway::Doors {
                    root,
                    edge,
                    coppice,
                    stop: Arc::new(move |_| stopper.stop()),
                })
            })
            .await?;
        link.ready();
        tracing::info!("ready");
        tokio::spawn(async move {
            while failed.changed().await.is_ok() {
                let failed = failed.borrow_and_update().clone();
                coppice
                    .show_closed_ports(
                        failed
                            .into_iter()
                            .map(|one| format!("{}: {}", one.id, one.error))
                            .collect(),
                    )
                    .await;
            }
        });
        ended.await?;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(LAST_WORK);
    drop(telemetry);
    ended?;
    anyhow::bail!("the root supervisor gave up; the heart starts the core anew")
}
