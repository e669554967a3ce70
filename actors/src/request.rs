//! Whose request is being served, so that what it changes in the document can say so.
//!
//! Known to the task that serves it, and not to the actors that it sets in motion: what they do later
//! has a cause of its own.

use std::future::Future;

tokio::task_local! {
    static REQUEST: String;
}

/// Does `work` for a request, named as the history is to name it.
pub async fn serving<T>(request: String, work: impl Future<Output = T>) -> T {
    REQUEST.scope(request, work).await
}

/// The request that this task serves, if it serves one.
pub(crate) fn current() -> Option<String> {
    REQUEST.try_with(Clone::clone).ok()
}
