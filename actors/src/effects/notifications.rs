//! The effect `notification.create`: §5.8.

use coppice_clock::Wall;
use serde::Deserialize;

use super::{Answer, DONE, Request};
use crate::model::{Notification, NotificationLevel};

#[derive(Deserialize)]
struct Create {
    level: NotificationLevel,
    title: String,
    message: String,
    #[serde(default)]
    data: Option<String>,
}

/// Who says it is the caller, whatever else is among the parameters.
pub(super) async fn create(request: Request<'_>) -> Answer {
    let Create {
        level,
        title,
        message,
        data,
    } = request.params()?;
    let service = request.service;
    service.entry()?;
    service
        .host
        .document
        .notify(Notification {
            package_id: Some(service.id.clone()),
            created_at: Wall::now(),
            level,
            title,
            message,
            data,
            seen: false,
        })
        .await?;
    DONE
}
