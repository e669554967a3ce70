//! The dashboard: the web interface's files, and the core behind them.
//!
//! Invariant: only the files of the binary and what the core answers are ever served under the
//! dashboard's names, and nothing else may run in its pages: the policy allows our own scripts, and
//! styles with a nonce. There is no HSTS: with an authority of one's own, a browser that lost the
//! certificate must be able to get back to the plain page that offers it.

use std::net::IpAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use super::{
    Edge,
    assets::{Asset, Found, NONCE_PLACEHOLDER},
    body::{Arriving, Body, answer, empty, full},
    live::Live,
    pages,
    serve::{request_parts, say},
    tls::Client,
};

/// What goes to the core: everything below these.
const API: [&str; 3] = ["/rpc", "/ws", "/rest"];

/// Answers a request for one of the dashboard's names.
pub(super) async fn answer_to(
    edge: &Edge,
    live: &Live,
    client: &Client,
    request: Request<Arriving>,
) -> Response<Body> {
    let path = request.uri().path();
    if is_api(path) {
        let peer: IpAddr = client.peer.ip();
        return edge.core.forward(peer, request).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return say(
            request_parts(&request),
            StatusCode::METHOD_NOT_ALLOWED,
            "There is nothing to change here",
            "The dashboard's files can only be read.",
        );
    }
    if let Some(download) = live.trust.download(path) {
        return download;
    }
    let mut response = match edge.assets.find(path) {
        Found::Index(asset) => index(asset),
        Found::File { asset, hashed } => file(asset, hashed, request.headers()),
        Found::Nothing => say(
            request_parts(&request),
            StatusCode::NOT_FOUND,
            "There is no such file",
            "The dashboard may have been updated; load it again.",
        ),
    };
    protect(response.headers_mut());
    if request.method() == Method::HEAD {
        *response.body_mut() = empty();
    }
    response
}

fn is_api(path: &str) -> bool {
    API.iter().any(|api| {
        path.strip_prefix(api)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The single page, with a nonce of its own; so never from a cache.
fn index(asset: &Asset) -> Response<Body> {
    let nonce = pages::nonce();
    let html = String::from_utf8_lossy(asset.bytes).replace(NONCE_PLACEHOLDER, &nonce);
    let mut response = answer(StatusCode::OK, asset.content_type, html);
    // Style attributes come from templates (icons, progress bars) and can only paint.
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; \
         style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; \
         manifest-src 'self'; worker-src 'self'; base-uri 'self'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn file(asset: &'static Asset, hashed: bool, request: &HeaderMap) -> Response<Body> {
    let caching = if hashed {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Response::new(empty());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(ETAG, HeaderValue::from_static(asset.etag));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let known = |value: &HeaderValue| {
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .any(|etag| etag.trim().trim_start_matches("W/") == asset.etag)
        })
    };
    if request.get_all(IF_NONE_MATCH).iter().any(known) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    let bytes = match asset.gzip.filter(|_| takes_gzip(request)) {
        Some(gzip) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip
        }
        None => asset.bytes,
    };
    *response.body_mut() = full(Bytes::from_static(bytes));
    response
}

fn takes_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut words = coding.split(';').map(str::trim);
            words.next().is_some_and(|c| c.eq_ignore_ascii_case("gzip"))
                && !words.any(|q| q == "q=0" || q == "q=0.0")
        })
}

/// Headers for everything of the dashboard that is ours to answer.
fn protect(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 5] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_what_lies_below_its_three_roots() {
        for path in ["/rpc", "/rpc/v1", "/ws/db", "/rest/proxy"] {
            assert!(is_api(path), "{path}");
        }
        for path in ["/", "/rpcx", "/wssomething", "/services/rpc"] {
            assert!(!is_api(path), "{path}");
        }
    }

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(takes("gzip, deflate, br"));
        assert!(takes("br, GZIP;q=0.8"));
        assert!(!takes("br"));
        assert!(!takes("gzip;q=0"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
