//! Whose request is being served, so that what it changes in the document can say so.
//!
//! Known to the task that serves it, and not to the actors that it sets in motion: what they do later
//! has a cause of its own.

use std::{fmt::Display, sync::Arc};

/// Who asks.
pub type Asker = Arc<dyn Display + Send + Sync>;

tokio::task_local! {
    static REQUEST: (&'static str, Asker);
}

/// Does `work` for a request: what is asked, and by whom. It is put in words only where it changes something.
pub async fn serving<T>(what: &'static str, by: Asker, work: impl Future<Output = T>) -> T {
    REQUEST.scope((what, by), work).await
}

/// The request that this task serves, if it serves one.
pub(crate) fn current() -> Option<String> {
    REQUEST
        .try_with(|(what, by)| format!("{what} by {by}"))
        .ok()
}
