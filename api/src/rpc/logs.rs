//! Logs of a service, a page at a time or as a stream.

use coppice_actors::{
    Kind, Problem,
    logs::{Cursor, Positioned, ServiceLogs},
};
use coppice_clock::Wall;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Guid},
};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

/// Lines of one answer.
const MOST: usize = 10_000;

/// Lines of an answer that was not told how many.
const USUAL: usize = 50;

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct LogsOf {
    /// Of which package.
    id: String,
    /// How many lines, at most; 50 when it is left out.
    #[ts(as = "Option<Count>")]
    limit: Option<u64>,
    /// From where on, as an earlier answer gave it.
    cursor: Option<String>,
    /// Whether those before the cursor are meant; they come oldest first, too.
    before: Option<bool>,
}

impl LogsOf {
    fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        let parsed = self.cursor.as_deref().map(str::parse).transpose();
        parsed.map_err(|error: coppice_actors::logs::BadCursor| {
            Problem::of(Kind::InvalidRequest, &error)
        })
    }

    fn limit(&self) -> usize {
        let limit = self.limit.map_or(Ok(USUAL), usize::try_from);
        limit.unwrap_or(MOST).min(MOST)
    }
}

/// One line of a log.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry {
    /// When it was written.
    #[ts(type = "string")]
    timestamp: Wall,
    /// The line.
    message: String,
    /// The life of the container it belongs to.
    boot_id: String,
    /// `agent`, `runtime`, or the id of a process.
    source: String,
}

/// As a frame of a stream.
impl std::fmt::Display for LogEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

/// Lines of a log, oldest first.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogPage {
    /// The lines.
    entries: Vec<LogEntry>,
    /// Where the first of them begins.
    start_cursor: Option<String>,
    /// Where the last of them ends.
    end_cursor: Option<String>,
}

/// A stream of lines.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFollow {
    /// Where it begins.
    start_cursor: String,
    /// Its ticket.
    guid: Guid,
}

/// A line in the shape of the wire.
pub(crate) fn entry(line: &Positioned) -> LogEntry {
    LogEntry {
        timestamp: Wall::from_millis(line.line.t),
        message: line.line.line.clone(),
        boot_id: line.line.run.clone(),
        source: line.line.src.clone(),
    }
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

pub(super) async fn read(call: Call, params: LogsOf) -> Result<LogPage, Failure> {
    let (cursor, limit) = (params.cursor()?, params.limit());
    let before = params.before.unwrap_or_default();
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
    Ok(LogPage {
        entries: found.iter().map(entry).collect(),
        start_cursor: found.first().map(|line| line.at.to_string()),
        end_cursor: found.last().map(|line| line.next.to_string()),
    })
}

pub(super) async fn follow(call: Call, params: LogsOf) -> Result<LogFollow, Failure> {
    let logs = call.coppice().logs(&params.id)?;
    let start = match params.cursor()? {
        Some(cursor) => cursor,
        None => {
            let limit = params.limit();
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
    let tickets = &call.context.gate.tickets;
    let guid = tickets.give(&call.context.caller, stream, PATIENCE)?;
    Ok(LogFollow {
        start_cursor: start.to_string(),
        guid: Guid(guid),
    })
}
