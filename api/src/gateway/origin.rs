//! Requests that a page of another address makes a browser send.
//!
//! Services have pages on other names and ports of the same site, so a browser's idea of the same site
//! (`SameSite`) is too wide. Programs send none of these headers, and have no cookies that a page could
//! use.
//!
//! Invariant: what a page of another origin sends is refused before it is looked at, whether it is a
//! call, a stream or an upload; and no call that a plain form could send is made with a session.

use axum::http::{HeaderMap, HeaderName, header};
use coppice_actors::{Kind, Problem};

use crate::caller::Caller;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a page of another address sent.
pub(super) fn own(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| {
        let value = headers.get(name)?;
        // What is no text is nobody's origin.
        Some(value.to_str().unwrap_or_default())
    };
    let host = text(header::HOST).unwrap_or_default();
    let same_origin = text(header::ORIGIN).is_none_or(|origin| {
        let own = origin.strip_prefix("https://");
        own.is_some_and(|origin| !origin.is_empty() && origin.eq_ignore_ascii_case(host))
    });
    let same_site = text(FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    if same_origin && same_site {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Authorization,
        "requests from pages of other addresses are refused; open the dashboard at its own address",
    ))
}

/// Refuses a call with a session that says it is something else than JSON: a form can send that from
/// anywhere, and it cannot say that it sends JSON.
pub(super) fn no_form(headers: &HeaderMap, caller: &Caller) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if caller.session().is_none() || kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Authorization,
        "with a session, calls are sent as `Content-Type: application/json`; set that header",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Credential, Role};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn only_pages_of_the_very_same_origin_and_programs_are_heard() {
        for (origin, heard) in [
            ("https://willow.local:8443", true),
            ("https://WILLOW.local:8443", true),
            ("https://willow.local", false),
            ("http://willow.local:8443", false),
            ("https://hello-willow.local:8443", false),
            ("https://willow.local:8443.evil.example", false),
            ("https://evil.example", false),
            ("willow.local:8443", false),
            ("null", false),
            ("https://", false),
            ("", false),
        ] {
            let headers = headers(&[("host", "willow.local:8443"), ("origin", origin)]);
            assert_eq!(own(&headers).is_ok(), heard, "{origin}");
        }
        assert!(own(&headers(&[("host", "willow.local")])).is_ok());
        assert!(own(&headers(&[("origin", "https://")])).is_err(), "no host");
    }

    #[test]
    fn what_a_browser_says_of_the_sender_counts_too() {
        for (site, heard) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("unheard-of", false),
        ] {
            let headers = headers(&[("host", "a"), ("sec-fetch-site", site)]);
            assert_eq!(own(&headers).is_ok(), heard, "{site}");
        }
    }

    #[test]
    fn a_form_cannot_call_with_a_session() {
        let session = Caller::Account {
            name: "admin".into(),
            role: Role::Admin,
            with: Credential::Session { id: "x".into() },
        };
        for (kind, called) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=application/json", false),
        ] {
            let headers = headers(&[("content-type", kind)]);
            assert_eq!(no_form(&headers, &session).is_ok(), called, "{kind}");
            assert!(no_form(&headers, &Caller::Anonymous).is_ok());
        }
        assert!(no_form(&HeaderMap::new(), &session).is_err());
    }
}
