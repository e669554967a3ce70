//! Logs of a service, a page at a time or as a stream.

use coppice_actors::{
    Kind, Problem,
    logs::{Cursor, Positioned, ServiceLogs},
};
use coppice_clock::Wall;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Failure};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

/// Lines of one answer.
const MOST: usize = 10_000;

#[derive(Deserialize)]
struct Logs {
    id: String,
    #[serde(default = "fifty")]
    limit: usize,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    before: bool,
}

const fn fifty() -> usize {
    50
}

impl Logs {
    fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        let parsed = self.cursor.as_deref().map(str::parse).transpose();
        parsed.map_err(|error: coppice_actors::logs::BadCursor| {
            Problem::of(Kind::InvalidRequest, &error)
        })
    }
}

/// A line in the shape of the wire; `bootId` is the life of the container it belongs to.
pub(crate) fn entry(line: &Positioned) -> Value {
    json!({
        "timestamp": Wall::from_millis(line.line.t),
        "message": line.line.line,
        "bootId": line.line.run,
        "source": line.line.src,
    })
}

async fn lines(
    id: &str,
    logs: ServiceLogs,
    read: impl FnOnce(&ServiceLogs) -> std::io::Result<Vec<Positioned>> + Send + 'static,
) -> Result<Vec<Positioned>, Problem> {
    let unread = |why: &dyn std::fmt::Display| {
        let why = format!("the logs of `{id}` cannot be read: {why}; try again");
        Problem::new(Kind::Journald, why)
    };
    let read = tokio::task::spawn_blocking(move || read(&logs)).await;
    read.map_err(|error| unread(&error))?
        .map_err(|error| unread(&error))
}

pub(super) async fn read(call: Call) -> Result<Value, Failure> {
    let params: Logs = call.params()?;
    let (cursor, limit, before) = (params.cursor()?, params.limit.min(MOST), params.before);
    let found = lines(
        &params.id,
        call.coppice().logs(&params.id)?,
        move |logs| match (cursor, before) {
            (None, _) => logs.tail(limit),
            (Some(cursor), true) => logs.before(cursor, limit),
            (Some(cursor), false) => logs.after(cursor, limit),
        },
    )
    .await?;
    Ok(json!({
        "entries": found.iter().map(entry).collect::<Vec<_>>(),
        "startCursor": found.first().map(|line| line.at.to_string()),
        "endCursor": found.last().map(|line| line.next.to_string()),
    }))
}

pub(super) async fn follow(call: Call) -> Result<Value, Failure> {
    let params: Logs = call.params()?;
    let logs = call.coppice().logs(&params.id)?;
    let start = match params.cursor()? {
        Some(cursor) => cursor,
        None => {
            let limit = params.limit.min(MOST);
            let newest = lines(&params.id, logs.clone(), move |logs| {
                logs.tail(limit.max(1))
            })
            .await?;
            match (newest.first(), newest.last()) {
                (Some(first), _) if limit > 0 => first.at,
                (_, Some(last)) => last.next,
                _ => Cursor {
                    segment: 0,
                    offset: 0,
                },
            }
        }
    };
    let stream = Continuation::Socket(Box::new(move |socket| {
        streams::logs(socket, logs, start).boxed()
    }));
    let guid = call
        .context
        .gate
        .tickets
        .give(&call.context.caller, stream, PATIENCE)?;
    Ok(json!({ "startCursor": start.to_string(), "guid": guid }))
}
