//! Logs of a service, of Coppice itself and of the kernel, a page at a time or as a stream.

use coppice_actors::{
    Kind, Problem,
    logs::{Boot, Cursor, Page, Positioned, Source},
};
use coppice_clock::Wall;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Guid, Whole},
};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

/// Lines of one answer.
const MOST: usize = 10_000;

/// Lines of an answer that was not told how many.
const USUAL: usize = 50;

/// Which lines are meant.
#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct LogLines {
    /// How many lines, at most; 50 when it is left out.
    #[ts(as = "Option<Count>")]
    limit: Option<u64>,
    /// From where on, as an earlier answer gave it.
    cursor: Option<String>,
    /// Whether those before the cursor are meant; they come oldest first, too.
    before: Option<bool>,
    /// Only those of one boot of the machine, or life of the container: 0 is the newest, -1 the one before, or its id.
    boot: Option<WhichBoot>,
}

/// A boot of the machine, or a life of a container.
#[derive(Deserialize, TS)]
#[serde(untagged)]
pub(super) enum WhichBoot {
    /// Counted back from the newest, or, above 0, on from the oldest.
    Number(#[ts(as = "Whole")] i64),
    /// By its id.
    Id(String),
}

impl LogLines {
    fn page(self) -> Result<Page, Problem> {
        let cursor = self.cursor.as_deref().map(str::parse::<Cursor>).transpose();
        let limit = self.limit.map_or(Ok(USUAL), usize::try_from);
        Ok(Page {
            limit: limit.unwrap_or(MOST).min(MOST),
            cursor: cursor.map_err(|error| Problem::of(Kind::InvalidRequest, &error))?,
            before: self.before.unwrap_or_default(),
            boot: self.boot.map(|boot| match boot {
                WhichBoot::Number(number) => Boot::Number(number),
                WhichBoot::Id(id) => Boot::Id(id),
            }),
        })
    }
}

#[derive(Deserialize, TS)]
pub(super) struct LogsOf {
    /// Of which package.
    id: String,
    /// Which lines.
    #[serde(flatten)]
    lines: LogLines,
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
    /// The boot of the machine, or life of the container, that it belongs to.
    boot_id: String,
    /// `agent`, `runtime`, or the id of a process; `core`; `kernel`.
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

/// A log, as errors name it.
struct Named {
    whose: String,
    log: Source,
}

impl Named {
    fn of_service(call: &Call, id: &str) -> Result<Self, Problem> {
        Ok(Self {
            whose: format!("`{id}`"),
            log: Source::Kept(call.coppice().logs(id)?),
        })
    }

    fn own(call: &Call) -> Self {
        Self {
            whose: "Coppice".to_owned(),
            log: Source::Kept(call.coppice().own_logs()),
        }
    }

    fn kernel() -> Self {
        Self {
            whose: "the kernel".to_owned(),
            log: Source::Kernel,
        }
    }

    async fn reading<T: Send + 'static>(
        self,
        read: impl FnOnce(&Source) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let Self { whose, log } = self;
        let read = tokio::task::spawn_blocking(move || read(&log)).await;
        let read = read.map_err(std::io::Error::other).flatten();
        read.map_err(|error| {
            let why = format!("the logs of {whose} cannot be read: {error}; try again");
            Problem::new(Kind::Journald, why)
        })
    }

    async fn page(self, lines: LogLines) -> Result<LogPage, Failure> {
        let page = lines.page()?;
        let found = self.reading(move |log| log.page(&page)).await?;
        Ok(LogPage {
            entries: found.iter().map(entry).collect(),
            start_cursor: found.first().map(|line| line.at.to_string()),
            end_cursor: found.last().map(|line| line.next.to_string()),
        })
    }

    async fn follow(self, call: &Call, lines: LogLines) -> Result<LogFollow, Failure> {
        let page = lines.page()?;
        if page.boot.is_some_and(|boot| boot != Boot::Number(0)) {
            let why = "an earlier boot says nothing more; read its lines instead of following them";
            return Err(Problem::invalid(why).into());
        }
        let follower = self
            .reading(move |log| log.follow(page.cursor, page.limit))
            .await?;
        let start = follower.position();
        let stream = Continuation::Socket(Box::new(move |socket| {
            streams::logs(socket, follower).boxed()
        }));
        let tickets = &call.context.gate.tickets;
        let guid = tickets.give(&call.context.caller, stream, PATIENCE)?;
        Ok(LogFollow {
            start_cursor: start.to_string(),
            guid: Guid(guid),
        })
    }
}

pub(super) async fn read(call: Call, params: LogsOf) -> Result<LogPage, Failure> {
    Named::of_service(&call, &params.id)?
        .page(params.lines)
        .await
}

pub(super) async fn follow(call: Call, params: LogsOf) -> Result<LogFollow, Failure> {
    let log = Named::of_service(&call, &params.id)?;
    log.follow(&call, params.lines).await
}

pub(super) async fn read_own(call: Call, lines: LogLines) -> Result<LogPage, Failure> {
    Named::own(&call).page(lines).await
}

pub(super) async fn follow_own(call: Call, lines: LogLines) -> Result<LogFollow, Failure> {
    Named::own(&call).follow(&call, lines).await
}

pub(super) async fn read_kernel(_: Call, lines: LogLines) -> Result<LogPage, Failure> {
    Named::kernel().page(lines).await
}

pub(super) async fn follow_kernel(call: Call, lines: LogLines) -> Result<LogFollow, Failure> {
    Named::kernel().follow(&call, lines).await
}
