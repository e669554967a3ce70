//! What flows over a WebSocket: the document, logs, how busy the machine is, and how an upload goes.
//!
//! Invariant: the next frame is made when the last was taken, but for the document's, whose number `patchdb` bounds. Who
//! reads slowly costs no memory.

use std::{path::PathBuf, time::Duration};

use axum::extract::ws::WebSocket;
use coppice_actors::logs::Follower;
use patchdb::{PublicEvent, PublicSubscription};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    line::{FAILED, Line, NORMAL},
    upload::Upload,
};
use crate::{metrics::measure, rpc::logs::entry};

/// How often a followed log is looked at.
const LOG_POLL: Duration = Duration::from_millis(200);
/// Lines read at a time.
const LOG_BATCH: usize = 1000;
/// Between two frames of metrics: a person sees a number move, and a machine that is looked at has little to do for it.
const METRICS_EVERY: Duration = Duration::from_secs(2);
/// Progress frames of an upload come at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Revisions of the document, one frame each.
pub(crate) async fn document(socket: WebSocket, mut subscription: PublicSubscription) {
    let mut line = Line::new(socket);
    loop {
        let event = tokio::select! {
            event = subscription.next() => event,
            () = line.gone() => return,
        };
        match event {
            Some(PublicEvent::Frame(frame)) => {
                if line.send(frame.as_str()).await.is_err() {
                    return;
                }
            }
            Some(PublicEvent::Resync) => {
                return line.close(FAILED, "too far behind: subscribe again").await;
            }
            None => return line.close(NORMAL, "complete").await,
        }
    }
}

/// Log lines from a position on, one frame each.
pub(crate) async fn logs(socket: WebSocket, mut follower: Follower) {
    let mut line = Line::new(socket);
    let mut tick = tokio::time::interval(LOG_POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = line.gone() => return,
        }
        let reading = move || {
            let found = follower.read(LOG_BATCH);
            found.map(|found| (follower, found))
        };
        let read = tokio::task::spawn_blocking(reading).await;
        match read.map_err(std::io::Error::other).flatten() {
            Ok((reader, found)) => {
                follower = reader;
                for one in found {
                    if line.send(&entry(&one).to_string()).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                let why = format!("the logs cannot be read: {error}; ask for them again");
                return line.close(FAILED, &why).await;
            }
        }
    }
}

/// How busy the machine is, one frame at a time. `data` is a folder on the disk that is meant.
pub(crate) async fn metrics(socket: WebSocket, data: PathBuf) {
    let mut line = Line::new(socket);
    let mut tick = interval_at(Instant::now() + METRICS_EVERY, METRICS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = line.gone() => return,
        }
        match measure(&data).await {
            Ok(measured) => {
                if line.send(&json!(measured).to_string()).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let why = format!("the machine cannot be measured: {error}; ask again");
                return line.close(FAILED, &why).await;
            }
        }
    }
}

/// Progress of an upload until it is installed or refused.
pub(crate) async fn upload_progress(socket: WebSocket, mut progress: watch::Receiver<Upload>) {
    let mut line = Line::new(socket);
    loop {
        let now = progress.borrow_and_update().clone();
        if line.send(&now.frame().to_string()).await.is_err() {
            return;
        }
        match now {
            Upload::Done => return line.close(NORMAL, "complete").await,
            Upload::Failed(problem) => return line.close(FAILED, &problem.details).await,
            Upload::Waiting | Upload::Receiving { .. } | Upload::Installing => {}
        }
        tokio::time::sleep(PROGRESS_EVERY).await;
        tokio::select! {
            changed = progress.changed() => if changed.is_err() {
                return line.close(FAILED, "the upload broke off; send it again").await;
            },
            () = line.gone() => return,
        }
    }
}
