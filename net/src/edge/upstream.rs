//! Requests on their way to a service.
//!
//! Invariant: a request is sent once. A service that cannot be reached is named in the answer; one
//! that takes its time is waited for as long as the client waits (there is no deadline for its
//! answer: long polls and slow exports are its business).

use std::{net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, request, uri};
use http_body_util::BodyExt;
use hyper::{body::Incoming, upgrade};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio_util::task::TaskTracker;

use super::{
    body::{Arriving, Body, Keeping, answer},
    headers::{authority_of, prepare_request, prepare_response},
    limits::CONNECT,
    pages,
    serve::RequestView,
    splice,
    tls::Client,
};

/// How long a connection to a service is kept for the next request. Shorter than what servers
/// usually allow, so that we seldom write into one that is being closed.
const IDLE: Duration = Duration::from_secs(4);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Connections to services.
pub(super) struct Upstream {
    client: HttpClient<HttpConnector, Body>,
    /// Counts connections that were switched: they go on when the one they came on is done.
    open: TaskTracker,
}

/// The service a request goes to.
pub(super) struct Service<'a> {
    pub(super) addr: SocketAddr,
    /// As the client calls it.
    pub(super) name: &'a str,
    /// The dashboard's origin: its port need not be 443.
    pub(super) home: &'a str,
    pub(super) forwarded_headers: bool,
}

impl Upstream {
    pub(super) fn new(open: TaskTracker) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            // The service is told the name the client used.
            .set_host(false)
            .build(connector);
        Self { client, open }
    }

    /// Sends a request on and its answer back, bodies as they come.
    pub(super) async fn forward(
        &self,
        to: &Service<'_>,
        client: &Client,
        request: Request<Arriving>,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let person = RequestView::from(&parts).is_navigation();
        let switch = Switch::prepare(&mut parts);
        let authority = to.addr.to_string();
        let Some(uri) = absolute(&parts.uri, &authority) else {
            return unreachable(to, person);
        };
        parts.uri = uri;
        if to.forwarded_headers {
            if let Ok(peer) = HeaderValue::from_str(&client.peer.ip().to_string()) {
                parts.headers.insert(FORWARDED_FOR, peer);
            }
            parts
                .headers
                .insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        }
        let body = body.map_err(Into::into).boxed_unsync();
        match self.client.request(Request::from_parts(parts, body)).await {
            Ok(response) => switch.finish(response, self.open.token()),
            Err(error) => {
                let reason: &dyn std::error::Error = &error;
                tracing::debug!(addr = %to.addr, reason, "a service did not answer");
                unreachable(to, person)
            }
        }
    }
}

/// A request that may turn its connection into something else (a WebSocket).
pub(super) struct Switch {
    wanted: Option<upgrade::OnUpgrade>,
}

impl Switch {
    /// Readies a request for the other side, and remembers that its client asked to switch.
    pub(super) fn prepare(parts: &mut request::Parts) -> Self {
        let on_upgrade = parts.extensions.remove::<upgrade::OnUpgrade>();
        let host = authority_of(&parts.uri, &parts.headers).unwrap_or_default();
        let asked = prepare_request(parts, &host).is_some();
        Self {
            wanted: on_upgrade.filter(|_| asked),
        }
    }

    /// Readies the answer for the client; when both sides agreed, joins them once it is sent. What is
    /// to be kept is dropped when nothing passes any more.
    pub(super) fn finish(
        self,
        mut response: Response<Incoming>,
        kept: impl Send + Unpin + 'static,
    ) -> Response<Body> {
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched {
            let Some(client) = self.wanted else {
                return answer(
                    StatusCode::BAD_GATEWAY,
                    "text/plain; charset=utf-8",
                    "The service changed to a protocol nobody asked for.\n",
                );
            };
            let service = upgrade::on(&mut response);
            tokio::spawn(async move {
                match tokio::try_join!(client, service) {
                    Ok((client, service)) => {
                        splice::join(TokioIo::new(client), TokioIo::new(service)).await;
                    }
                    Err(error) => tracing::debug!(%error, "a connection was not switched"),
                }
                drop(kept);
            });
            return response.map(|_| super::body::empty());
        }
        prepare_response(response.headers_mut());
        response.map(|body| Keeping { body, _kept: kept }.boxed_unsync())
    }
}

/// The path and query of `uri` at `authority`.
pub(super) fn absolute(uri: &Uri, authority: &str) -> Option<Uri> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(authority.parse().ok()?);
    parts.path_and_query = Some(
        uri.path_and_query()
            .cloned()
            .unwrap_or_else(|| uri::PathAndQuery::from_static("/")),
    );
    Uri::from_parts(parts).ok()
}

fn unreachable(to: &Service<'_>, person: bool) -> Response<Body> {
    let name = to.name;
    if !person {
        return answer(
            StatusCode::BAD_GATEWAY,
            "text/plain; charset=utf-8",
            format!(
                "{name} is not answering. It may be starting or stopped; try again, or look at it in the dashboard.\n"
            ),
        );
    }
    let title = format!("{name} is not answering");
    let html = format!(
        "This server is up, but the service behind this name is not. It may just be starting; if \
         it stays like this, <a href=\"{}/\">look at it in the dashboard</a>: it says what \
         happened and what you can do.",
        pages::escape(to.home)
    );
    pages::passing_trouble(StatusCode::BAD_GATEWAY, &title, &html)
}
