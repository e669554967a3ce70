//! Requests on their way to the core.
//!
//! Invariant: the core may be away at any time and for as long as a restart takes, and a request
//! waits for it: the socket it is sent to is held by the heart, so connecting succeeds and the
//! request lies in the kernel until the core comes back and reads it. A request with side effects
//! is sent once.
//!
//! Because a connection to an absent core looks like one to a busy core, silence alone says
//! nothing. After [`CORE_SILENCE`] we ask the core something trivial on another connection: any
//! answer at all means it is there and working, and we wait on; none means it is away, and the
//! client is told so.
//!
//! Whoever can reach the server can send requests, signed in or not, and each is a descriptor of
//! the core. So only so many are with the core at once, and only so many of one client's; a body of
//! `/rpc` has a deadline, or a client that sends a byte now and then would keep its place for ever.
//!
//! ```text
//!  sent ─► answer ─► done
//!   │ 30 s of silence ─► ask ─┬─ any answer within 5 s ─► wait on
//!   │                         └─ none ─► 503, try again in 5 s
//!   └ broken off ─┬─ GET, HEAD ─► sent once more ─► …
//!                 └─ else ─► 503, may have been done
//! ```

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, RETRY_AFTER},
    request,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    client::legacy::Client as HttpClient,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::UnixStream, time::timeout};
use tower::Service;

use super::{
    body::{Arriving, Body, InTime, TooSlow, answer, empty},
    limits::{
        CORE_REQUESTS, CORE_REQUESTS_PER_PEER, CORE_SILENCE, CORE_TURN, Counted, Limits, RPC_BODY,
        RPC_BYTES, Room,
    },
    pages,
    serve::RequestView,
    upstream::{Switch, absolute},
};

/// How long the core may take to answer anything at all.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// When a connection attempt finds the queue full.
const QUEUE_FULL: Duration = Duration::from_millis(50);

/// Whom the request is from, as the core learns it.
const PEER: HeaderName = HeaderName::from_static("x-coppice-peer");

/// There is one host behind the socket; its name is never resolved.
const CORE: &str = "core";

/// The way to the core.
pub(super) struct CoreLink {
    client: HttpClient<Connector, Body>,
    limits: Limits,
    silence: Duration,
}

/// A request's place among those that are with the core.
type Place = (Room, Counted);

/// Whose requests are too many.
enum Crowd {
    OfTheClient,
    OfAll,
}

/// Why there is no answer.
enum Absence {
    /// It was not there to take the request.
    Away,
    /// It went away with the request.
    BrokenOff,
    /// The client's body was longer than allowed.
    TooLong,
    /// The client's body did not come.
    TooSlow,
}

impl CoreLink {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            client: HttpClient::builder(TokioExecutor::new())
                // A connection of its own for each request: one that was kept may be closing, as when the
                // core dies, and a request with side effects that meets it cannot be sent again.
                .pool_max_idle_per_host(0)
                .set_host(false)
                .build(Connector {
                    socket: Arc::from(socket),
                }),
            limits: Limits::new(CORE_REQUESTS, CORE_REQUESTS_PER_PEER),
            silence: CORE_SILENCE,
        }
    }

    /// Sends a request on, as one from `peer`, and its answer back.
    pub(super) async fn forward(&self, peer: IpAddr, request: Request<Arriving>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let view = (
            RequestView::from(&parts).is_navigation(),
            parts.method.clone(),
        );
        let is_rpc = parts.uri.path().starts_with("/rpc");
        if is_rpc && declared_length(&parts).is_some_and(|length| length > RPC_BYTES) {
            return too_long();
        }
        let place = match self.place(peer).await {
            Ok(place) => place,
            Err(crowd) => return say_crowded(&crowd, view.0),
        };
        let switch = Switch::prepare(&mut parts);
        if let Some(uri) = absolute(&parts.uri, CORE) {
            parts.uri = uri;
        }
        if let Ok(peer) = HeaderValue::from_str(&peer.to_string()) {
            parts.headers.insert(PEER, peer);
        }
        let repeatable =
            (parts.method == Method::GET || parts.method == Method::HEAD) && body.is_end_stream();
        let body: Body = if is_rpc {
            let most = usize::try_from(RPC_BYTES).unwrap_or(usize::MAX);
            InTime::new(Limited::new(body, most), RPC_BODY).boxed_unsync()
        } else {
            body.map_err(Into::into).boxed_unsync()
        };
        let spare = repeatable.then(|| parts.clone());
        let mut outcome = self.send(Request::from_parts(parts, body)).await;
        if let (Err(Absence::BrokenOff), Some(parts)) = (&outcome, spare) {
            outcome = self.send(Request::from_parts(parts, empty())).await;
        }
        match outcome {
            Ok(response) => switch.finish(response, place),
            Err(Absence::TooLong) => too_long(),
            Err(Absence::TooSlow) => too_slow(),
            Err(absence) => say_absent(&absence, view.0),
        }
    }

    /// Waits for a place, for a while.
    async fn place(&self, peer: IpAddr) -> Result<Place, Crowd> {
        let counted = self.limits.count(peer).ok_or(Crowd::OfTheClient)?;
        match timeout(CORE_TURN, self.limits.room()).await {
            Ok(Some(room)) => Ok((room, counted)),
            Ok(None) | Err(_) => Err(Crowd::OfAll),
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Absence> {
        let mut answer = std::pin::pin!(self.client.request(request));
        loop {
            match timeout(self.silence, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    let reason: &dyn std::error::Error = &error;
                    tracing::debug!(reason, "the core broke off");
                    return Err(if caused_by::<LengthLimitError>(&error) {
                        Absence::TooLong
                    } else if caused_by::<TooSlow>(&error) {
                        Absence::TooSlow
                    } else if error.is_connect() {
                        Absence::Away
                    } else {
                        Absence::BrokenOff
                    });
                }
                Err(_) if self.is_there().await => {}
                Err(_) => return Err(Absence::Away),
            }
        }
    }

    /// Whether the core answers anything, be it "not found".
    async fn is_there(&self) -> bool {
        let Ok(ask) = Request::head(format!("http://{CORE}/")).body(empty()) else {
            return false;
        };
        matches!(
            timeout(SIGN_OF_LIFE, self.client.request(ask)).await,
            Ok(Ok(_))
        )
    }
}

fn declared_length(parts: &request::Parts) -> Option<u64> {
    parts
        .headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn caused_by<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn too_long() -> Response<Body> {
    answer(
        StatusCode::PAYLOAD_TOO_LARGE,
        "text/plain; charset=utf-8",
        "This request is longer than 4 MiB. Send files to /rest/ instead.\n",
    )
}

fn too_slow() -> Response<Body> {
    answer(
        StatusCode::REQUEST_TIMEOUT,
        "text/plain; charset=utf-8",
        "This request did not arrive within 30 seconds. Send it again.\n",
    )
}

fn say_crowded(crowd: &Crowd, person: bool) -> Response<Body> {
    let (status, title, text) = match crowd {
        Crowd::OfTheClient => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests from here",
            "Close some of the windows that show this server, or wait for what they asked for.",
        ),
        Crowd::OfAll => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Coppice is busy",
            "Too many requests came at once. Your services go on; please try again.",
        ),
    };
    say_later(status, title, text, person)
}

fn say_absent(absence: &Absence, person: bool) -> Response<Body> {
    let (title, text) = match absence {
        Absence::Away | Absence::TooLong | Absence::TooSlow => (
            "Coppice is restarting",
            "Your services go on without it. This usually takes a few seconds; please try again.",
        ),
        Absence::BrokenOff => (
            "Coppice restarted while it worked on this",
            "It may or may not have been done: look before you try again. Your services were not \
             touched by the restart.",
        ),
    };
    say_later(StatusCode::SERVICE_UNAVAILABLE, title, text, person)
}

/// Says why not now, and when to come again.
fn say_later(status: StatusCode, title: &str, text: &str, person: bool) -> Response<Body> {
    let mut response = if person {
        pages::passing_trouble(status, title, text)
    } else {
        answer(
            status,
            "text/plain; charset=utf-8",
            format!("{title}. {text}\n"),
        )
    };
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Connects to the core's socket, whatever host is asked for.
#[derive(Clone)]
struct Connector {
    socket: Arc<Path>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let socket = Arc::clone(&self.socket);
        Box::pin(async move {
            loop {
                match UnixStream::connect(&socket).await {
                    Ok(stream) => return Ok(TokioIo::new(stream)),
                    // The queue is full: the core is away and many are waiting, or it is busy. Who
                    // asked decides how long to wait.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(QUEUE_FULL).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::{server::conn::http1, service::service_fn};
    use tempfile::TempDir;
    use tokio::net::UnixListener;

    use super::*;

    fn link(silence: Duration) -> (TempDir, UnixListener, CoreLink) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("edge.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let link = CoreLink {
            silence,
            ..CoreLink::new(socket)
        };
        (dir, listener, link)
    }

    async fn ask(link: &CoreLink) -> Response<Body> {
        let request = Request::post("/rpc/v1").body(Arriving::nothing()).unwrap();
        link.forward("192.168.1.7".parse().unwrap(), request).await
    }

    // Nobody accepts, so the paused clock may jump from deadline to deadline.
    #[tokio::test(start_paused = true)]
    async fn a_core_that_stays_away_is_waited_for_and_then_excused() {
        let (_dir, _listener, link) = link(CORE_SILENCE);
        let began = tokio::time::Instant::now();
        let response = ask(&link).await;
        assert!(began.elapsed() >= CORE_SILENCE);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"Coppice is restarting."), "{body:?}");
    }

    // As above: nobody accepts, so nothing but the clock moves.
    #[tokio::test(start_paused = true)]
    async fn one_client_has_so_many_requests_with_the_core_and_all_together_have_so_many() {
        let (_dir, _listener, link) = link(CORE_SILENCE);
        let peer = |n: u8| IpAddr::from([192, 168, 1, n]);
        let mut held = Vec::new();
        for n in 0..4 {
            for _ in 0..CORE_REQUESTS_PER_PEER {
                held.push(link.place(peer(n)).await.ok().unwrap());
            }
        }
        assert_eq!(held.len(), CORE_REQUESTS);
        let request = || Request::post("/rpc/v1").body(Arriving::nothing()).unwrap();
        let crowded = link.forward(peer(0), request()).await;
        assert_eq!(crowded.status(), StatusCode::TOO_MANY_REQUESTS);
        let began = tokio::time::Instant::now();
        let busy = link.forward(peer(9), request()).await;
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()[RETRY_AFTER], "5");
        assert!(began.elapsed() < CORE_SILENCE);
        held.clear();
        assert!(link.place(peer(9)).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_is_kept_until_the_answer_has_been_sent() {
        let (_dir, listener, link) = link(CORE_SILENCE);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|_: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(super::super::body::full("yes")))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        let peer = "192.168.1.7".parse().unwrap();
        let left = |link: &CoreLink| {
            let places = (0..CORE_REQUESTS_PER_PEER).map_while(|_| link.limits.count(peer));
            places.collect::<Vec<_>>().len()
        };
        let answer = ask(&link).await;
        assert_eq!(left(&link), CORE_REQUESTS_PER_PEER - 1);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "yes");
        assert_eq!(left(&link), CORE_REQUESTS_PER_PEER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_in_time_is_an_error_of_its_own() {
        let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<hyper::body::Frame<bytes::Bytes>, Infallible>,
        >());
        let began = tokio::time::Instant::now();
        let error = InTime::new(never, RPC_BODY).collect().await.err().unwrap();
        assert!(error.is::<TooSlow>());
        assert!(began.elapsed() >= RPC_BODY);
    }

    #[tokio::test]
    async fn a_core_that_works_for_long_is_not_taken_for_an_absent_one() {
        let silence = Duration::from_millis(50);
        let (_dir, listener, link) = link(silence);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(move |request: Request<Incoming>| async move {
                    if request.method() == Method::POST {
                        tokio::time::sleep(silence * 5).await;
                    }
                    Ok::<_, Infallible>(Response::new(empty()))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        assert_eq!(ask(&link).await.status(), StatusCode::OK);
    }
}
