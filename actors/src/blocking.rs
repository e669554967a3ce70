//! Work that blocks, off the async threads.

use tokio::task::JoinError;

/// Runs `work` where it may block; it is under way from the moment it is first waited for.
///
/// # Errors
/// When it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    #[cfg(test)]
    if crate::testing::is_simulated() {
        // A simulation has one thread: what another does in the meantime could not be replayed.
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}
