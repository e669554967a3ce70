//! What packages and the server told people: listed, marked, removed.

use std::collections::BTreeSet;

use coppice_actors::{
    model::{Notification, NotificationLevel},
    notifications::Meant,
};
use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Timestamp},
};

/// Notifications of one answer that was not told how many.
const USUAL: usize = 40;

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct ListNotifications {
    /// Only those with smaller numbers.
    #[ts(as = "Option<Count>")]
    before: Option<u64>,
    /// How many, at most; 40 when it is left out.
    #[ts(as = "Option<Count>")]
    limit: Option<u64>,
}

/// A notification as StartOS's clients read it.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedNotification {
    /// Its number.
    #[ts(as = "Count")]
    id: u64,
    /// Who says it; null is the server itself.
    package_id: Option<String>,
    /// When it was said.
    #[ts(as = "Timestamp")]
    created_at: Wall,
    /// What `data` is: 0 is nothing, 2 is Markdown.
    code: u8,
    /// How urgent it is.
    level: NotificationLevel,
    /// What it is about.
    title: String,
    /// One paragraph.
    message: String,
    /// More, as Markdown.
    data: Option<String>,
    /// Whether somebody has seen it.
    seen: bool,
}

impl ListedNotification {
    fn of((id, row): (u64, Notification)) -> Self {
        Self {
            id,
            package_id: row.package_id,
            created_at: row.created_at,
            // StartOS has 1 for the report of a backup, too, which is no text.
            code: if row.data.is_some() { 2 } else { 0 },
            level: row.level,
            title: row.title,
            message: row.message,
            data: row.data,
            seen: row.seen,
        }
    }
}

pub(super) async fn list(
    call: Call,
    params: ListNotifications,
) -> Result<Vec<ListedNotification>, Failure> {
    let limit = params.limit.map_or(Ok(USUAL), usize::try_from);
    let rows = call.coppice().host().document.notifications().into_iter();
    let wanted = rows.filter(|(id, _)| params.before.is_none_or(|before| *id < before));
    let newest = wanted.rev().take(limit.unwrap_or(usize::MAX));
    Ok(newest.map(ListedNotification::of).collect())
}

#[derive(Deserialize, TS)]
pub(super) struct TheseNotifications {
    /// Their numbers; one that is gone is not missed.
    #[ts(as = "Vec<Count>")]
    ids: BTreeSet<u64>,
}

#[derive(Deserialize, TS)]
pub(super) struct NotificationsBefore {
    /// The number that is meant.
    #[ts(as = "Count")]
    before: u64,
}

pub(super) async fn remove(call: Call, params: TheseNotifications) -> Result<(), Failure> {
    removed(&call, Meant::These(params.ids)).await
}

pub(super) async fn remove_before(call: Call, params: NotificationsBefore) -> Result<(), Failure> {
    removed(&call, Meant::Before(params.before)).await
}

async fn removed(call: &Call, meant: Meant) -> Result<(), Failure> {
    let document = &call.coppice().host().document;
    Ok(document.remove_notifications(meant).await?)
}

pub(super) async fn mark_seen(call: Call, params: TheseNotifications) -> Result<(), Failure> {
    marked(&call, Meant::These(params.ids), true).await
}

pub(super) async fn mark_unseen(call: Call, params: TheseNotifications) -> Result<(), Failure> {
    marked(&call, Meant::These(params.ids), false).await
}

pub(super) async fn mark_seen_before(
    call: Call,
    params: NotificationsBefore,
) -> Result<(), Failure> {
    marked(&call, Meant::UpTo(params.before), true).await
}

async fn marked(call: &Call, meant: Meant, seen: bool) -> Result<(), Failure> {
    let document = &call.coppice().host().document;
    Ok(document.mark_notifications(meant, seen).await?)
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct CreateNotification {
    /// In the name of which package; without it, of the server.
    package: Option<String>,
    /// How urgent it is.
    level: NotificationLevel,
    /// What it is about.
    title: String,
    /// One paragraph.
    message: String,
}

pub(super) async fn create(call: Call, params: CreateNotification) -> Result<(), Failure> {
    if let Some(id) = &params.package {
        call.coppice().status(id)?;
    }
    let new = Notification {
        package_id: params.package,
        created_at: Wall::now(),
        level: params.level,
        title: params.title,
        message: params.message,
        data: None,
        seen: false,
    };
    Ok(call.coppice().host().document.notify(new).await?)
}
