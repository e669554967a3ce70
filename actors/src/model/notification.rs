//! `/public/notifications`: what packages and the server itself tell people.

use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How urgent a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum NotificationLevel {
    /// Something went well.
    Success,
    /// Something to know.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

/// One message to the people who look after this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Who says it; null is the server itself.
    pub package_id: Option<String>,
    /// When it was said.
    #[ts(type = "string")]
    pub created_at: Wall,
    /// How urgent it is.
    pub level: NotificationLevel,
    /// What it is about.
    pub title: String,
    /// One paragraph.
    pub message: String,
    /// More, as Markdown.
    pub data: Option<String>,
    /// Whether somebody has seen it.
    pub seen: bool,
}
