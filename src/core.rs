//! `coppice core`: the part that decides.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc};

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
use tokio::sync::mpsc;

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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (failures, mut failed) = mpsc::channel(16);
    let link = Arc::new(inherited.heart.listen(move |event| match event {
        // What cannot be opened now is tried again by the heart; only the newest list counts.
        Event::Message(HeartToCore::Listeners { failed }) => drop(failures.try_send(failed)),
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
            while let Some(failed) = failed.recv().await {
                for one in &failed {
                    tracing::warn!(
                        listener = one.id,
                        error = one.error,
                        "a port is not ours: end the other program or choose another port"
                    );
                }
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
    drop(telemetry);
    ended?;
    anyhow::bail!("the root supervisor gave up; the heart starts the core anew")
}
