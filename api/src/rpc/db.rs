//! The document: dumps and streams of what is public; and for root, the store as a whole.

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;
use futures_util::FutureExt;
use patchdb::{Pointer, Position, PublicPointer, Store};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Failure};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

#[derive(Deserialize)]
struct At {
    #[serde(default)]
    pointer: Option<String>,
    #[serde(default)]
    from: Option<Position>,
}

fn place(pointer: Option<String>) -> Result<PublicPointer, Problem> {
    match pointer {
        None => Ok(PublicPointer::root()),
        Some(text) => {
            PublicPointer::parse(&text).map_err(|error| Problem::of(Kind::InvalidRequest, &error))
        }
    }
}

pub(super) async fn dump(call: Call) -> Result<Value, Failure> {
    let at = place(call.params::<At>()?.pointer)?;
    let store = call.coppice().host().document.store().public_store();
    Ok(json!(store.dump(&at)))
}

pub(super) async fn subscribe(call: Call) -> Result<Value, Failure> {
    let At { pointer, from } = call.params()?;
    let store = call.coppice().host().document.store().public_store();
    let mut subscription = store.subscribe(&place(pointer)?, from);
    let start = subscription.take_start();
    let stream = Continuation::Socket(Box::new(move |socket| {
        streams::document(socket, subscription).boxed()
    }));
    let guid = call
        .context
        .gate
        .tickets
        .give(&call.context.caller, stream, PATIENCE)?;
    let mut answer = json!(start);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("guid".to_owned(), Value::String(guid));
    }
    Ok(answer)
}

/// Most revisions of one answer.
const MOST_REVISIONS: usize = 10_000;

#[derive(Deserialize)]
struct Log {
    #[serde(default = "Pointer::root")]
    pointer: Pointer,
    #[serde(default)]
    from: Option<Wall>,
    #[serde(default)]
    to: Option<Wall>,
    #[serde(default = "fifty")]
    limit: usize,
}

const fn fifty() -> usize {
    50
}

pub(super) async fn log(call: Call) -> Result<Value, Failure> {
    let wanted: Log = call.params()?;
    let found = on_disk(&call, move |store| {
        store.log_where(wanted.limit.min(MOST_REVISIONS), |entry| {
            wanted.from.is_none_or(|from| entry.at >= from)
                && wanted.to.is_none_or(|to| entry.at < to)
                && entry.touches(&wanted.pointer)
        })
    });
    let found = found.await?.map_err(|error| failed(&error))?;
    Ok(found.iter().map(patchdb::LogEntry::reveal).collect())
}

pub(super) async fn export(call: Call) -> Result<Value, Failure> {
    Ok(on_disk(&call, |store| store.export_json()).await?)
}

pub(super) async fn check(call: Call) -> Result<Value, Failure> {
    let report = store(&call).check().await.map_err(|error| failed(&error))?;
    let damage = |row: &patchdb::DamagedRow| json!({ "name": row.name, "damage": row.to_string() });
    Ok(json!({
        "sound": report.is_sound(),
        "rows": report.rows + report.revisions,
        "matchesMemory": report.matches_memory,
        "damaged": report.damaged.iter().map(damage).collect::<Vec<_>>(),
    }))
}

pub(super) async fn compact(call: Call) -> Result<Value, Failure> {
    let done = store(&call)
        .compact()
        .await
        .map_err(|error| failed(&error))?;
    Ok(json!({ "before": done.before, "after": done.after }))
}

fn store(call: &Call) -> &Store {
    call.coppice().host().document.store()
}

fn failed(error: &dyn std::error::Error) -> Problem {
    Problem::of(Kind::Database, error)
}

/// Work that blocks, off the threads that serve requests.
async fn on_disk<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, Problem> {
    let store = store(call).clone();
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .map_err(|error| failed(&error))
}
