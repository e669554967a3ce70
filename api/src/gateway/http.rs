//! The three routes: calls, streams, bodies.

use std::net::IpAddr;

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, Request, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Door, Gate};
use crate::{
    auth::Caller,
    continuations::Continuation,
    rpc::{self, Answered, Context},
};

/// The edge says here who is on the other side.
const PEER: HeaderName = HeaderName::from_static("x-coppice-peer");
const SEQUENCE: HeaderName = HeaderName::from_static("x-patch-sequence");
const SESSION: &str = "session";

/// Who is on the other side, from what the socket and the cookies say.
fn context(gate: &Gate, door: Door, headers: &HeaderMap) -> Context {
    let session = cookie(headers, SESSION);
    let caller = match door {
        Door::Root => Caller::Root,
        Door::Edge => session
            .and_then(|token| gate.accounts.session(token).ok().flatten())
            .unwrap_or(Caller::Anonymous),
    };
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Context {
        gate: gate.clone(),
        caller,
        from: text(PEER).and_then(|peer| peer.parse::<IpAddr>().ok()),
        user_agent: text(header::USER_AGENT).map(str::to_owned),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// A page of another origin may not use the cookies of this one, whatever the browser thinks of
/// the same site.
fn foreign_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers
        .get(header::ORIGIN)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    origin
        .split_once("://")
        .is_none_or(|(_, origin)| !origin.eq_ignore_ascii_case(host))
}

pub(super) async fn rpc(
    State(gate): State<Gate>,
    Extension(door): Extension<Door>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if door == Door::Edge && foreign_origin(&headers) {
        return (
            StatusCode::FORBIDDEN,
            "requests from pages of other addresses are refused",
        )
            .into_response();
    }
    let Answered {
        body,
        cookies,
        sequence,
    } = rpc::answer(&context(&gate, door, &headers), &body).await;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    if let Some(sequence) = sequence {
        headers.insert(SEQUENCE, HeaderValue::from(sequence));
    }
    response
}

pub(super) async fn socket(
    State(gate): State<Gate>,
    Extension(door): Extension<Door>,
    Path(guid): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if door == Door::Edge && foreign_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some((caller, Continuation::Socket(stream))) = gate.tickets.take(&guid, true) else {
        return (StatusCode::NOT_FOUND, "no such stream; ask for a new one").into_response();
    };
    let mut ends = gate.accounts.hear_ends();
    upgrade.on_upgrade(move |socket| async move {
        let session_ended = async move {
            let Caller::Session { id, .. } = caller else {
                return std::future::pending().await;
            };
            while let Ok(ended) = ends.recv().await {
                if ended == id {
                    return;
                }
            }
        };
        tokio::select! {
            () = stream(socket) => {}
            () = session_ended => {}
        }
    })
}

pub(super) async fn request(
    State(gate): State<Gate>,
    Path(guid): Path<String>,
    request: Request,
) -> Response {
    match gate.tickets.take(&guid, false) {
        Some((_, Continuation::Request(answer))) => answer(request).await,
        _ => (StatusCode::NOT_FOUND, "no such upload; ask for a new one").into_response(),
    }
}
