//! `coppice edge`: everything that parses bytes from a network, without any privilege.

use std::process::ExitCode;

use coppice_heart::{
    HeartToEdge, Publish,
    client::{Edge, Event},
};
use coppice_net::edge::{EdgeConfig, Published, run as serve, sandbox};
use tokio::sync::{mpsc, oneshot};

/// Tables that may wait to be obeyed; each is whole, so a few are plenty.
const WAITING_TABLES: usize = 16;

pub(crate) fn run() -> ExitCode {
    match edge() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coppice edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn edge() -> anyhow::Result<()> {
    let inherited = Edge::from_env()?;
    // Before any thread exists and any byte is read: threads made earlier would keep their rights.
    let file_system = sandbox::drop_privileges()?;
    let telemetry = coppice_api::telemetry::start("edge", None)?;
    file_system.log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (tables, source) = mpsc::channel(WAITING_TABLES);
    let mut tables = Some(tables);
    let link = inherited.heart.listen(move |event| match event {
        Event::Message(HeartToEdge::Publish(Publish { listeners, table })) => {
            match serde_json::from_str(table.get()) {
                Ok(table) => {
                    let listeners = listeners
                        .into_iter()
                        .map(|(listener, socket)| (listener.id, socket))
                        .collect();
                    // This thread is the link's own and may wait; an edge that ended ends the process.
                    if let Some(tables) = &tables {
                        let _ = tables.blocking_send(Published { table, listeners });
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the core published a table that cannot be read");
                }
            }
        }
        Event::Message(HeartToEdge::Retire) => tables = None,
        Event::HeartGone => crate::heart_gone::end(),
    })?;
    let (ready, obeyed) = oneshot::channel();
    runtime.block_on(async move {
        tokio::spawn(async move {
            if obeyed.await.is_ok() {
                link.ready();
            }
        });
        serve(EdgeConfig {
            api_socket: inherited.api_socket,
            source,
            ready: Some(ready),
            assets: crate::embedded::ASSETS,
        })
        .await;
    });
    drop(telemetry);
    Ok(())
}
