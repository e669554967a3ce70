//! The document: dumps and streams of what is public; and for root, the store as a whole.

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;
use futures_util::FutureExt;
use patchdb::{
    Change, CommitError, MutateError, Pointer, Position, PublicDump, PublicPointer, PublicStart,
    Store, Why,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Guid, Json, Nothing, Place, Timestamp},
};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

/// What is given of the document.
mod shape {
    // What the store writes itself is described here.
    #![allow(dead_code)]

    use ts_rs::TS;

    use super::super::shapes::Count;

    #[derive(TS)]
    pub(super) struct DocumentDump {
        /// The revision, as `X-Patch-Sequence` counts them.
        id: u64,
        /// What was there; null when nothing was.
        #[ts(type = "unknown")]
        value: (),
        /// Where it stands in the history.
        position: DocumentPosition,
        /// JSON Patch that leads from there to what is on the disk; left out when that is the same.
        #[ts(optional, type = "unknown[]")]
        undo: Option<()>,
    }

    /// Where a client stands.
    #[derive(TS)]
    pub(super) struct DocumentPosition {
        /// The process and lineage.
        #[ts(as = "Count")]
        epoch: u64,
        /// Durable revisions so far.
        #[ts(as = "Count")]
        durable: u64,
        /// Volatile revisions so far.
        #[ts(as = "Count")]
        volatile: u64,
    }

    /// What a client missed.
    #[derive(TS)]
    pub(super) struct DocumentMissed {
        /// The revision, as `X-Patch-Sequence` counts them.
        id: u64,
        /// Where it leads to.
        position: DocumentPosition,
        /// JSON Patch for what is on the disk.
        #[ts(type = "unknown[]")]
        base: (),
        /// JSON Patch for what is only shown.
        #[ts(type = "unknown[]")]
        overlay: (),
    }

    #[derive(TS)]
    pub(super) struct Begun {
        /// What is there: when no position was given, or one that is too old.
        #[ts(optional)]
        dump: Option<DocumentDump>,
        /// What was missed since.
        #[ts(optional)]
        resume: Option<DocumentMissed>,
        /// The ticket of what comes after.
        guid: String,
    }
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct DumpAt {
    /// At or below /public, which is what is meant when it is left out.
    #[ts(as = "Option<Place>")]
    pointer: Option<String>,
}

/// The value at a place, at one moment.
#[derive(Serialize, TS)]
#[serde(transparent)]
#[ts(as = "shape::DocumentDump")]
pub(super) struct Dump(PublicDump);

fn place(pointer: Option<String>) -> Result<PublicPointer, Problem> {
    match pointer {
        None => Ok(PublicPointer::root()),
        Some(text) => {
            PublicPointer::parse(&text).map_err(|error| Problem::of(Kind::InvalidRequest, &error))
        }
    }
}

pub(super) async fn dump(call: Call, params: DumpAt) -> Result<Dump, Failure> {
    let at = place(params.pointer)?;
    let store = call.coppice().host().document.store().public_store();
    Ok(Dump(store.dump(&at)))
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct SubscribeTo {
    /// At or below /public, which is what is meant when it is left out.
    #[ts(as = "Option<Place>")]
    pointer: Option<String>,
    /// Where the client stood, when it comes back.
    #[ts(as = "Option<shape::DocumentPosition>")]
    from: Option<Position>,
}

/// What a subscriber begins with.
#[derive(Serialize, TS)]
#[ts(as = "shape::Begun")]
pub(super) struct Subscribed {
    #[serde(flatten)]
    start: Option<PublicStart>,
    guid: Guid,
}

pub(super) async fn subscribe(call: Call, params: SubscribeTo) -> Result<Subscribed, Failure> {
    let SubscribeTo { pointer, from } = params;
    let store = call.coppice().host().document.store().public_store();
    let mut subscription = store.subscribe(&place(pointer)?, from);
    let start = subscription.take_start();
    let stream = Continuation::Socket(Box::new(move |socket| {
        streams::document(socket, subscription).boxed()
    }));
    let tickets = &call.context.gate.tickets;
    let guid = tickets.give(&call.context.caller, stream, PATIENCE)?;
    Ok(Subscribed {
        start,
        guid: Guid(guid),
    })
}

/// Bytes of what web interfaces keep, all of it together: every client gets it.
const MOST_UI: usize = 256 * 1024;

#[derive(Deserialize, TS)]
pub(super) struct PutUi {
    /// Below /public/ui.
    #[ts(as = "Place")]
    pointer: String,
    /// What shall be there; what holds it must be there already.
    #[ts(type = "unknown")]
    value: Value,
}

pub(super) async fn put_ui(call: Call, params: PutUi) -> Result<(), Failure> {
    let PutUi { pointer, value } = params;
    if !(pointer.is_empty() || pointer.starts_with('/')) {
        let why = "`pointer` begins with `/`; leave it empty for all of it";
        return Err(Problem::invalid(why).into());
    }
    let at: Pointer = format!("/public/ui{pointer}")
        .parse()
        .map_err(|error| Problem::of(Kind::InvalidRequest, &error))?;
    let why = Why::actor(call.context.caller.account()).for_request(call.method());
    let put = store(&call).mutate(why, move |before| {
        let kept = before.reveal("/public/ui").unwrap_or_default();
        if kept.to_string().len() + value.to_string().len() > MOST_UI {
            return Err(Problem::invalid(format!(
                "what is kept for web interfaces may have {} KiB in all; remove something of it first",
                MOST_UI / 1024
            )));
        }
        Ok(Change::new().put(at, value))
    });
    match put.await {
        Ok(_) => Ok(()),
        Err(MutateError::Refused(problem)) => Err(problem.into()),
        Err(MutateError::Commit(CommitError::Change(misfit))) => {
            Err(Problem::of(Kind::InvalidRequest, &misfit).into())
        }
        Err(MutateError::Commit(error)) => Err(failed(&error).into()),
    }
}

/// Most revisions of one answer.
const MOST_REVISIONS: usize = 10_000;
/// Revisions of an answer that was not told how many.
const USUAL_REVISIONS: usize = 50;

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct LogOf {
    /// Only what touched this place; everything when it is left out.
    #[ts(as = "Option<Place>")]
    pointer: Option<String>,
    /// Only from then on.
    #[ts(as = "Option<Timestamp>")]
    from: Option<Wall>,
    /// Only before.
    #[ts(as = "Option<Timestamp>")]
    to: Option<Wall>,
    /// How many, at most; 50 when it is left out.
    #[ts(as = "Option<Count>")]
    limit: Option<u64>,
}

/// One revision of the document, private places included.
#[derive(Serialize, TS)]
#[serde(transparent)]
#[ts(
    type = "{ revision: number, at: string, actor: string, cause: string | null, request: string | null, ops: unknown[] | null }"
)]
pub(super) struct LoggedRevision(Value);

pub(super) async fn log(call: Call, wanted: LogOf) -> Result<Vec<LoggedRevision>, Failure> {
    let pointer = wanted.pointer.as_deref().unwrap_or_default();
    let pointer: Pointer = pointer
        .parse()
        .map_err(|error| Problem::of(Kind::InvalidRequest, &error))?;
    let limit = usize::try_from(wanted.limit.unwrap_or(USUAL_REVISIONS as u64))
        .unwrap_or(MOST_REVISIONS)
        .min(MOST_REVISIONS);
    let found = on_disk(&call, move |store| {
        store.log_where(limit, |entry| {
            wanted.from.is_none_or(|from| entry.at >= from)
                && wanted.to.is_none_or(|to| entry.at < to)
                && entry.touches(&pointer)
        })
    });
    let found = found.await?.map_err(|error| failed(&error))?;
    let revealed = found.iter().map(patchdb::LogEntry::reveal);
    Ok(revealed.map(LoggedRevision).collect())
}

pub(super) async fn export(call: Call, _: Nothing) -> Result<Json, Failure> {
    Ok(Json(on_disk(&call, |store| store.export_json()).await?))
}

/// What a look at the whole store found.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checked {
    /// Whether nothing is wrong.
    sound: bool,
    /// How many rows were read.
    rows: u64,
    /// Whether what is on the disk is what is in memory.
    matches_memory: bool,
    /// What is not what was written.
    damaged: Vec<DamagedRow>,
}

/// One row of the store that is not what was written.
#[derive(Serialize, TS)]
pub(super) struct DamagedRow {
    /// Its name.
    name: String,
    /// What is wrong with it.
    damage: String,
}

pub(super) async fn check(call: Call, _: Nothing) -> Result<Checked, Failure> {
    let report = store(&call).check().await.map_err(|error| failed(&error))?;
    let damaged = report.damaged.iter().map(|row| DamagedRow {
        name: row.name.to_string(),
        damage: row.to_string(),
    });
    Ok(Checked {
        sound: report.is_sound(),
        rows: report.rows + report.revisions,
        matches_memory: report.matches_memory,
        damaged: damaged.collect(),
    })
}

/// How large the store was and is.
#[derive(Serialize, TS)]
pub(super) struct Compacted {
    /// Bytes before.
    before: u64,
    /// Bytes now.
    after: u64,
}

pub(super) async fn compact(call: Call, _: Nothing) -> Result<Compacted, Failure> {
    let done = store(&call)
        .compact()
        .await
        .map_err(|error| failed(&error))?;
    Ok(Compacted {
        before: done.before,
        after: done.after,
    })
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
