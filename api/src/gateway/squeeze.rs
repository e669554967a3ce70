//! Long answers, made shorter for their way through a network.
//!
//! What is worth it is the dump that a stream of the document begins with; the frames that follow are smaller than what
//! squeezing would save (docs/decisions/0039). Invariant: nothing is squeezed for somebody who did not say that they can
//! read it.

use std::io::Write;

use axum::http::{HeaderMap, header};
use flate2::{Compression, write::GzEncoder};

/// Shorter answers fit a few packets as they are.
const WORTH: usize = 16 * 1024;

/// Whether this can be read squeezed on the other side.
fn is_read(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::ACCEPT_ENCODING).iter();
    let said = said.filter_map(|value| value.to_str().ok());
    said.flat_map(|line| line.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").map(str::parse::<f32>);
            weight.is_some_and(|weight| weight.is_ok_and(|weight| weight == 0.0))
        };
        parts.next() == Some("gzip") && !parts.any(refused)
    })
}

/// The answer as gzip, where that is wanted and worth it; otherwise as it was.
pub(super) async fn squeezed(headers: &HeaderMap, body: String) -> Result<Vec<u8>, String> {
    if body.len() < WORTH || !is_read(headers) {
        return Err(body);
    }
    // A long one keeps a processor busy for some milliseconds.
    let squeezed = tokio::task::spawn_blocking(move || gzip(&body).map_err(|_| body)).await;
    squeezed.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn saying(accepted: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())])
    }

    #[tokio::test]
    async fn a_long_answer_is_squeezed_for_whoever_reads_it_so() {
        let long = "{\"id\":\"hello\"}".repeat(WORTH);
        let squeezed = squeezed(&saying("br;q=1.0, gzip;q=0.8"), long.clone())
            .await
            .unwrap();
        assert!(squeezed.len() * 10 < long.len());
        let mut read = String::new();
        GzDecoder::new(&squeezed[..])
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, long);
    }

    #[tokio::test]
    async fn others_get_it_as_it_is() {
        let long = "x".repeat(WORTH);
        for accepted in ["br", "identity", "gzip;q=0", "x-gzip"] {
            assert_eq!(
                squeezed(&saying(accepted), long.clone()).await,
                Err(long.clone()),
                "{accepted}"
            );
        }
        assert_eq!(squeezed(&HeaderMap::new(), long.clone()).await, Err(long));
        let short = "short".to_owned();
        assert_eq!(squeezed(&saying("gzip"), short.clone()).await, Err(short));
    }
}
