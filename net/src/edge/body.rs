//! Bodies of requests and answers, streamed or whole.
//!
//! Invariant: a proxied body is never gathered; it passes frame by frame, and a slow receiver slows
//! its sender. A request that is answered before its body has arrived is still listened to for a
//! moment.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep, timeout},
};

/// What went wrong under a streamed body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that may come from anywhere.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// No body.
pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

/// An answer in one piece.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body that must have arrived by a moment.
pub(crate) struct InTime<B> {
    body: B,
    until: Pin<Box<Sleep>>,
}

/// The moment came before the end of the body.
#[derive(Debug, thiserror::Error)]
#[error("the body took too long")]
pub(crate) struct TooSlow;

impl<B> InTime<B> {
    pub(crate) fn new(body: B, within: Duration) -> Self {
        Self {
            body,
            until: Box::pin(sleep(within)),
        }
    }
}

impl<B> HttpBody for InTime<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that keeps something until it has been sent.
pub(crate) struct Keeping<B, T> {
    pub(crate) body: B,
    pub(crate) _kept: T,
}

impl<B, T> HttpBody for Keeping<B, T>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
    T: Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long, and for how many bytes, we listen to a body nobody wants any more.
const LISTEN: Duration = Duration::from_secs(2);
const LISTEN_BYTES: usize = 256 * 1024;

/// A client's request body.
///
/// An answer that overtakes the body ends the exchange, and clients differ in what they make of
/// that: on HTTP/2 curl 7.88 drops an answer it has already received when the stream is reset while
/// it sends. So what was not read when this is dropped is read and thrown away, within reason.
pub(crate) struct Arriving {
    body: Option<Incoming>,
}

#[cfg(test)]
impl Arriving {
    /// The body of a request that has none.
    pub(crate) fn nothing() -> Self {
        Self { body: None }
    }
}

impl From<Incoming> for Arriving {
    fn from(body: Incoming) -> Self {
        Self { body: Some(body) }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(async move {
                // Whatever comes of it, the client has had its moment.
                let mut rest = Limited::new(rest, LISTEN_BYTES);
                let _ = timeout(LISTEN, async {
                    while let Some(Ok(_)) = rest.frame().await {}
                })
                .await;
            });
        }
    }
}
