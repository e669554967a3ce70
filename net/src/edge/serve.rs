//! Requests on a connection.
//!
//! Invariant: every request is routed by its own `Host`, by the table of that moment; a name we do
//! not know gets nothing but an answer saying so, so no foreign name can be pointed at us to read
//! the dashboard (DNS rebinding).

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL},
    request,
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::table::{ProxyMode, Target};

use super::{
    Edge,
    body::{Arriving, Body, answer, empty},
    dashboard,
    headers::host_of,
    limits::{H2_PING, H2_PONG, H2_STREAMS, HEADER_BYTES, HEADERS},
    pages, plain,
    tls::Client,
    upstream,
};

/// Where a page in plain text asks whether HTTPS works from this browser.
pub(super) const PROBE: &str = "/.well-known/coppice-probe";

/// Serves plain HTTP.
pub(super) async fn plain(edge: Arc<Edge>, client: Client, stream: TcpStream) {
    let (retired, begun) = (edge.retired.clone(), CancellationToken::new());
    let begins = begun.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        begins.cancel();
        let edge = Arc::clone(&edge);
        let client = client.clone();
        async move { Ok::<_, Infallible>(plain::answer_to(&edge, &client, &request)) }
    });
    let connection = http1_builder().serve_connection(TokioIo::new(stream), service);
    log(until_retired(connection, |it| it.graceful_shutdown(), retired, begun).await);
}

/// Serves what was agreed on in the handshake.
pub(super) async fn encrypted(edge: Arc<Edge>, client: Client, stream: TlsStream<TcpStream>) {
    let (retired, begun) = (edge.retired.clone(), CancellationToken::new());
    let begins = begun.clone();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        begins.cancel();
        let edge = Arc::clone(&edge);
        let client = client.clone();
        async move { Ok::<_, Infallible>(route(&edge, &client, request).await) }
    });
    let io = TokioIo::new(stream);
    if http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PONG)
            .max_concurrent_streams(H2_STREAMS)
            .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
            // The default of 64 KiB holds an upload to 64 KiB per round trip.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .serve_connection(io, service);
        log(until_retired(connection, |it| it.graceful_shutdown(), retired, begun).await);
    } else {
        let connection = http1_builder()
            .serve_connection(io, service)
            .with_upgrades();
        log(until_retired(connection, |it| it.graceful_shutdown(), retired, begun).await);
    }
}

/// Serves a connection to its end. Once the edge is retired, it ends when no request is under way; but one on which
/// there was none yet is given its first, since whoever opened it is about to send it.
async fn until_retired<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    finish: impl FnOnce(Pin<&mut C>),
    retired: CancellationToken,
    begun: CancellationToken,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let may_end = async {
        retired.cancelled().await;
        begun.cancelled().await;
    };
    tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = may_end => {
            finish(connection.as_mut());
            connection.await
        }
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_header_size(HEADER_BYTES);
    builder
}

/// Connections end in many ways, none of which is our error.
fn log(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        let error: &dyn std::error::Error = &error;
        tracing::debug!(error, "a connection broke off");
    }
}

async fn route(edge: &Edge, client: &Client, request: Request<Incoming>) -> Response<Body> {
    let live = Arc::clone(&edge.live.borrow());
    let (parts, body) = request.map(Arriving::from).into_parts();
    let Some(host) = host_of(&parts.uri, &parts.headers) else {
        return say(
            &parts,
            StatusCode::BAD_REQUEST,
            "This request names no host",
            "Every request says which name it is for; this one did not.",
        );
    };
    let target = live.target(&client.listener, &host);
    if parts.uri.path() == PROBE && target.is_some() {
        return probe();
    }
    let request = Request::from_parts(parts, body);
    match target {
        Some(Target::Dashboard) => dashboard::answer_to(edge, &live, client, request).await,
        Some(Target::Proxy {
            addr,
            mode: ProxyMode::Http { forwarded_headers },
        }) => {
            let to = upstream::Service {
                addr: *addr,
                name: &host,
                home: &plain::origin(live.home(), edge.https_port()),
                forwarded_headers: *forwarded_headers,
            };
            edge.upstream.forward(&to, client, request).await
        }
        // The name was reached on a connection that was opened for another one; a browser asked
        // with 421 opens a new one.
        Some(Target::Proxy {
            mode: ProxyMode::Raw,
            ..
        }) => say(
            request_parts(&request),
            StatusCode::MISDIRECTED_REQUEST,
            "This name needs a connection of its own",
            "Please try again.",
        ),
        None => say(
            request_parts(&request),
            StatusCode::MISDIRECTED_REQUEST,
            "Nothing here has that name",
            &format!(
                "This server knows no service called {}. It may have been removed, or not be \
                 started yet.",
                pages::escape(&host)
            ),
        ),
    }
}

/// What [`say`] looks at, of a request that goes no further.
pub(super) fn request_parts<B>(request: &Request<B>) -> RequestView<'_> {
    RequestView {
        method: request.method(),
        accept: request.headers().get(ACCEPT),
    }
}

/// The little of a request that decides how we talk to its sender.
#[derive(Clone, Copy)]
pub(super) struct RequestView<'a> {
    method: &'a Method,
    accept: Option<&'a HeaderValue>,
}

impl<'a> From<&'a request::Parts> for RequestView<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self {
            method: &parts.method,
            accept: parts.headers.get(ACCEPT),
        }
    }
}

impl RequestView<'_> {
    /// Whether a person looks at the answer.
    pub(super) fn is_navigation(self) -> bool {
        (self.method == Method::GET || self.method == Method::HEAD)
            && self
                .accept
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.contains("text/html"))
    }
}

/// Says something in words: a page for people, a line for programs. `text` is HTML.
pub(super) fn say<'a>(
    to: impl Into<RequestView<'a>>,
    status: StatusCode,
    title: &str,
    text: &str,
) -> Response<Body> {
    let mut response = if to.into().is_navigation() {
        pages::message(status, title, text)
    } else {
        answer(
            status,
            "text/plain; charset=utf-8",
            format!("{title}. {}\n", pages::plain_text(text)),
        )
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Yes, HTTPS works from where you are.
fn probe() -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
