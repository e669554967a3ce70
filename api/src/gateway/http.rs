//! The three routes: calls, streams, bodies.
//!
//! Invariants: a body is read within a deadline and only to a length that fits who sends it; what
//! a session's ticket opens is open no longer than the session.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use coppice_actors::{Kind, Problem};
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::{Door, Entered, Gate, identity::Identity, origin, squeeze::squeezed};
use crate::{
    auth::Accounts,
    caller::Caller,
    continuations::{Continuation, Continuations, Open},
    rpc::{self, Answered, Context},
};

const SEQUENCE: HeaderName = HeaderName::from_static("x-patch-sequence");

/// Bytes of a JSON-RPC request.
const MAX_RPC_BODY: usize = 4 * 1024 * 1024;
/// The same of somebody who has not signed in: a login needs no more, and there may be many.
const MAX_STRANGERS_BODY: usize = 64 * 1024;
/// How long the body of a JSON-RPC request may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A client has nothing to say on a stream but that it is there.
const MAX_CLIENT_FRAME: usize = 64 * 1024;

/// What the call is made with; what was signed is compared with what was sent.
fn context(gate: Arc<Gate>, mut identity: Identity, headers: &HeaderMap, body: &[u8]) -> Context {
    identity.compare(body);
    let user_agent = headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    Context {
        gate,
        caller: identity.caller,
        refusal: identity.refusal,
        from: identity.from,
        device: identity.device,
        user_agent: user_agent.map(str::to_owned),
    }
}

/// The names that requests to this server are signed for.
fn names(gate: &Gate) -> Vec<String> {
    let network = &gate.coppice.host().network;
    let mut names = vec![network.server_name(), network.hostname.clone()];
    names.push(network.bridge_address().to_string());
    names.extend(network.lan_addresses().iter().map(IpAddr::to_string));
    names
}

/// A page of another address may not use the door of the network.
fn own_origin(door: Door, headers: &HeaderMap) -> Result<(), Problem> {
    match door {
        Door::Root => Ok(()),
        Door::Edge => origin::own(headers),
    }
}

/// The answer of a route that is not JSON-RPC: the same error object, under a status.
pub(super) fn refused(problem: &Problem) -> Response {
    let status = match problem.kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Authorization => StatusCode::UNAUTHORIZED,
        Kind::InvalidRequest => StatusCode::BAD_REQUEST,
        Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(rpc::error_object(problem))).into_response()
}

fn forbidden(problem: &Problem) -> Response {
    let error = Json(rpc::error_object(problem));
    (StatusCode::FORBIDDEN, error).into_response()
}

/// Reads the body of a call. What is too long is read to its end all the same, and dropped: an
/// answer to a sender who is still sending would get lost.
async fn whole(body: Body, caller: &Caller) -> Result<Vec<u8>, Problem> {
    let stranger = *caller == Caller::Anonymous;
    let most = if stranger {
        MAX_STRANGERS_BODY
    } else {
        MAX_RPC_BODY
    };
    let read = async {
        let (mut body, mut kept, mut length) = (body.into_data_stream(), Vec::new(), 0);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| {
                Problem::invalid(format!("the request broke off: {error}; send it again"))
            })?;
            length += piece.len();
            if length > MAX_RPC_BODY {
                return Err(Problem::invalid(
                    "the request is longer than 4 MiB; send files to /rest/rpc/ instead",
                ));
            }
            if length <= most {
                kept.extend_from_slice(&piece);
            }
        }
        if length > most {
            return Err(Problem::new(
                Kind::Authorization,
                "sign in first: without a session a request has 64 KiB at most",
            ));
        }
        Ok(kept)
    };
    timeout(BODY_WITHIN, read).await.unwrap_or_else(|_| {
        let seconds = BODY_WITHIN.as_secs();
        Err(Problem::new(
            Kind::Timeout,
            format!("the request did not come whole within {seconds} s; send it again"),
        ))
    })
}

async fn answered(
    gate: Arc<Gate>,
    door: Door,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answered, Problem> {
    let identity = Identity::of(&gate.accounts, door, headers, || names(&gate))?;
    let body = whole(body, &identity.caller).await?;
    origin::no_form(headers, &identity.caller)?;
    let context = Arc::new(context(gate, identity, headers, &body));
    Ok(rpc::answer(&context, &body).await)
}

pub(super) async fn rpc(
    State(Entered { gate, door }): State<Entered>,
    request: Request,
) -> Response {
    let (Parts { headers, .. }, body) = request.into_parts();
    let (status, answered) = match own_origin(door, &headers) {
        Ok(()) => {
            let answered = answered(gate, door, &headers, body).await;
            (StatusCode::OK, answered)
        }
        Err(foreign) => {
            // Its body is read all the same, or its sender would not hear why it is refused.
            let _ = Box::pin(whole(body, &Caller::Anonymous)).await;
            (StatusCode::FORBIDDEN, Err(foreign))
        }
    };
    let Answered {
        body,
        cookies,
        sequence,
    } = answered.unwrap_or_else(Answered::refused);
    let status = match body {
        // Notifications want no answer.
        None => StatusCode::NO_CONTENT,
        Some(_) => status,
    };
    let has_body = body.is_some();
    // Through the root-only socket nothing gets faster by being shorter.
    let squeezed = match body {
        Some(body) if door == Door::Edge => squeezed(&headers, body).await,
        body => Err(body.unwrap_or_default()),
    };
    let is_squeezed = squeezed.is_ok();
    let mut response = Response::new(squeezed.map_or_else(Body::from, Body::from));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    if is_squeezed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
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

/// What a ticket leads to.
struct Claimed<F> {
    leads_to: Continuation,
    /// Kept for as long as it is open.
    open: Open,
    /// Tells that the session it was given in has ended.
    ended: F,
}

/// Takes what a ticket leads to. Root's leads nowhere but through root's door, that of an ended session nowhere at all.
fn claim(
    tickets: &Continuations,
    accounts: &Accounts,
    door: Door,
    guid: &str,
    socket: bool,
) -> Option<Claimed<impl Future<Output = ()> + Send + use<>>> {
    let may = |caller: &Caller| *caller != Caller::Root || door == Door::Root;
    let (open, leads_to) = tickets.take(guid, socket, may)?;
    let mut ended = Box::pin(accounts.ended(open.caller()));
    if ended.as_mut().now_or_never().is_some() {
        return None;
    }
    Some(Claimed {
        leads_to,
        open,
        ended,
    })
}

pub(super) async fn socket(
    State(Entered { gate, door }): State<Entered>,
    Path(guid): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(foreign) = own_origin(door, &headers) {
        return forbidden(&foreign);
    }
    let claimed = claim(&gate.tickets, &gate.accounts, door, &guid, true);
    let Some(Claimed {
        leads_to: Continuation::Socket(stream),
        open,
        ended,
    }) = claimed
    else {
        return refused(&Problem::not_found(
            "there is no such stream, or it was opened before, or its session has ended; \
             ask for a new one",
        ));
    };
    upgrade
        .max_message_size(MAX_CLIENT_FRAME)
        .on_upgrade(move |socket| async move {
            let _open = open;
            tokio::select! {
                () = stream(socket) => {}
                () = ended => {}
            }
        })
}

pub(super) async fn request(
    State(Entered { gate, door }): State<Entered>,
    Path(guid): Path<String>,
    request: Request,
) -> Response {
    if let Err(foreign) = own_origin(door, request.headers()) {
        return forbidden(&foreign);
    }
    let claimed = claim(&gate.tickets, &gate.accounts, door, &guid, false);
    let Some(Claimed {
        leads_to: Continuation::Request(answer),
        open: _open,
        ended,
    }) = claimed
    else {
        return refused(&Problem::not_found(
            "nothing is awaited here any more, or its session has ended; ask for a new ticket",
        ));
    };
    tokio::select! {
        response = answer(request) => response,
        () = ended => refused(&Problem::new(
            Kind::Authorization,
            "the session ended before this did; sign in and send it again",
        )),
    }
}

pub(super) async fn nowhere() -> Response {
    refused(&Problem::not_found("nothing is here; calls go to /rpc/v1"))
}

pub(super) async fn wrong_method() -> Response {
    let problem = Problem::invalid("calls are made by POST, streams are opened by GET");
    let error = Json(rpc::error_object(&problem));
    (StatusCode::METHOD_NOT_ALLOWED, error).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;
    use crate::{
        auth::Login,
        caller::{Credential, Role},
        continuations::PATIENCE,
    };

    fn session() -> Caller {
        Caller::Account {
            name: "admin".into(),
            role: Role::Admin,
            with: Credential::Session { id: "x".into() },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_at_its_deadline() {
        let endless = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) })
            .chain(stream::pending());
        let began = tokio::time::Instant::now();
        let refused = whole(Body::from_stream(endless), &Caller::Anonymous)
            .await
            .unwrap_err();
        assert_eq!(refused.kind, Kind::Timeout);
        assert_eq!(began.elapsed(), BODY_WITHIN);
    }

    #[tokio::test]
    async fn a_stranger_sends_little_and_a_session_no_more_than_the_limit() {
        let body = |length| Body::from(vec![b' '; length]);
        let most = whole(body(MAX_STRANGERS_BODY), &Caller::Anonymous).await;
        assert_eq!(most.unwrap().len(), MAX_STRANGERS_BODY);
        let refused = whole(body(MAX_STRANGERS_BODY + 1), &Caller::Anonymous).await;
        assert_eq!(refused.unwrap_err().kind, Kind::Authorization);
        let most = whole(body(MAX_RPC_BODY), &session()).await;
        assert_eq!(most.unwrap().len(), MAX_RPC_BODY);
        let refused = whole(body(MAX_RPC_BODY + 1), &session()).await;
        assert_eq!(refused.unwrap_err().kind, Kind::InvalidRequest);
    }

    fn ticket(tickets: &Continuations, caller: &Caller) -> String {
        let stream = Continuation::Socket(Box::new(|_| async {}.boxed()));
        tickets.give(caller, stream, PATIENCE).unwrap()
    }

    #[tokio::test]
    async fn the_ticket_of_an_ended_session_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::new(patchdb::SecretStore::open(folder.path()).unwrap());
        let password = "correct horse battery";
        accounts.set_password(password.into()).await.unwrap();
        let login = Login {
            password: password.into(),
            code: None,
            ephemeral: false,
            user_agent: None,
        };
        let caller = accounts.sign_in(login, None).await.unwrap().caller;
        let tickets = Continuations::default();
        let claims = |guid: &str| claim(&tickets, &accounts, Door::Edge, guid, true);
        let (first, second) = (ticket(&tickets, &caller), ticket(&tickets, &caller));
        let first = claims(&first).unwrap();
        accounts.set_password(password.into()).await.unwrap();
        first.ended.await;
        assert!(claims(&second).is_none());
    }

    #[tokio::test]
    async fn a_ticket_of_root_opens_nothing_through_the_other_door() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::new(patchdb::SecretStore::open(folder.path()).unwrap());
        let tickets = Continuations::default();
        for (door, opens) in [(Door::Edge, false), (Door::Root, true)] {
            let guid = ticket(&tickets, &Caller::Root);
            let claimed = claim(&tickets, &accounts, door, &guid, true);
            assert_eq!(claimed.is_some(), opens, "{door:?}");
        }
    }
}
