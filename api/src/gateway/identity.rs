//! Who a request comes from: told by the socket, and on the edge's by what its headers show.
//!
//! ```text
//!  root's socket ─► root
//!  the edge's ─┬─ X-StartOS-Auth-Sig that fits ─► its key
//!              ├─ Authorization: Bearer, living ─► its token
//!              ├─ cookie of a living session ─► the session
//!              └─ nothing of these ─► a stranger, who is told why what it showed opens nothing
//! ```
//!
//! Invariant: of a caller with a signature nothing is done before its body was compared.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use coppice_actors::{Kind, Problem};

use super::Door;
use crate::{
    auth::{Accounts, Signed},
    caller::Caller,
};

/// The edge says here who is on the other side.
const PEER: HeaderName = HeaderName::from_static("x-coppice-peer");
const SIGNATURE: HeaderName = HeaderName::from_static("x-startos-auth-sig");
/// The cookie of a session.
pub(crate) const SESSION: &str = "session";
/// The cookie of a browser that has signed in before.
pub(crate) const DEVICE: &str = "device";

/// Who is on the other side.
pub(super) struct Identity {
    pub(super) caller: Caller,
    /// Why what was shown opens nothing.
    pub(super) refusal: Option<Problem>,
    /// From which address.
    pub(super) from: Option<IpAddr>,
    /// The browser, when it has signed in before.
    pub(super) device: Option<String>,
    /// Few requests are signed, and what is signed takes room.
    signed: Option<Box<Signed>>,
}

impl Identity {
    /// What is known before the body is read. `names` are those that a request to this server is signed for.
    pub(super) fn of(
        accounts: &Accounts,
        door: Door,
        headers: &HeaderMap,
        names: impl FnOnce() -> Vec<String>,
    ) -> Result<Self, Problem> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let mut found = Self {
            caller: Caller::Anonymous,
            refusal: None,
            from: None,
            device: None,
            signed: None,
        };
        if door == Door::Root {
            found.caller = Caller::Root;
            return Ok(found);
        }
        found.from = text(PEER).and_then(|peer| peer.parse().ok());
        let device = cookie(headers, DEVICE).map(|cookie| accounts.device(cookie));
        found.device = device.transpose()?.flatten();
        if let Some(header) = text(SIGNATURE) {
            let signed = Signed::parse(header).map_err(|error| bad(&error));
            match signed.and_then(|signed| Ok((accounts.signer(&signed, &names())?, signed))) {
                Ok((caller, signed)) => {
                    (found.caller, found.signed) = (caller, Some(Box::new(signed)));
                    return Ok(found);
                }
                Err(problem) => found.refusal = Some(problem),
            }
        }
        if let Some(token) = text(header::AUTHORIZATION).and_then(bearer) {
            match accounts.bearer(token) {
                Ok(caller) => {
                    (found.caller, found.refusal) = (caller, None);
                    return Ok(found);
                }
                Err(problem) => found.refusal = Some(problem),
            }
        }
        let session = cookie(headers, SESSION).map(|token| accounts.session(token));
        if let Some(caller) = session.transpose()?.flatten() {
            (found.caller, found.refusal) = (caller, None);
        }
        Ok(found)
    }

    /// Takes what was signed for what was sent only if it is the same.
    pub(super) fn compare(&mut self, body: &[u8]) {
        if let Some(signed) = self.signed.take()
            && let Err(error) = signed.covers(body)
        {
            (self.caller, self.refusal) = (Caller::Anonymous, Some(bad(&error)));
        }
    }
}

fn bad(error: &dyn std::error::Error) -> Problem {
    Problem::of(Kind::Authorization, error)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
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
