//! Headers on their way through.
//!
//! Invariant: what is about one connection stays on it, and what only we may say (`X-Coppice-*`,
//! `X-Forwarded-*` and their kin) is never what a client said.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{
        CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    request,
};

/// About one connection, whatever `Connection` says (RFC 9110 §7.6.1 and the old ones).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Makes a client's request one that may go to somebody else over HTTP/1.1. Returns the protocol
/// the client asks to change to, when it does.
pub(crate) fn prepare_request(parts: &mut request::Parts, host: &str) -> Option<HeaderValue> {
    let upgrade = wanted_upgrade(parts);
    let headers = &mut parts.headers;
    remove_hop_by_hop(headers);
    // The server part of us answers it when the body is first read.
    headers.remove(EXPECT);
    headers.remove(FORWARDED);
    let spoken_for: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.starts_with("x-coppice-")
                || name.starts_with("x-forwarded-")
                || name == "x-real-ip"
        })
        .cloned()
        .collect();
    for name in spoken_for {
        headers.remove(name);
    }
    join_cookies(headers);
    if parts.version == Version::HTTP_2
        && let Ok(host) = HeaderValue::from_str(host)
    {
        headers.insert(HOST, host);
    }
    parts.version = Version::HTTP_11;
    if let Some(protocol) = &upgrade {
        parts
            .headers
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol.clone());
    }
    upgrade
}

/// Makes somebody's answer one that may go to a client.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

fn wanted_upgrade(parts: &request::Parts) -> Option<HeaderValue> {
    let asks = parts.version == Version::HTTP_11
        && parts
            .headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = parts.headers.get(UPGRADE)?;
    // h2c would turn one request we routed into a connection of requests we did not.
    let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    (asks && is_websocket).then(|| protocol.clone())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// HTTP/2 sends one cookie per header line; HTTP/1.1 servers expect them in one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// The host a request is for: lower case, without port and final dot; `None` when it names none.
pub(crate) fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = authority_of(uri, headers)?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority
            .rsplit_once(':')
            .map_or(authority.as_str(), |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The same with its port, as it was asked for.
pub(crate) fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str().to_owned()),
        None => Some(headers.get(HOST)?.to_str().ok()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(
        build: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> request::Parts {
        build(Request::builder()).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_client_cannot_speak_for_us() {
        let mut parts = parts(|r| {
            r.header("x-coppice-peer", "127.0.0.1")
                .header("X-Forwarded-For", "1.2.3.4")
                .header("forwarded", "for=1.2.3.4")
                .header("x-real-ip", "1.2.3.4")
                .header("accept", "text/html")
        });
        prepare_request(&mut parts, "a.local");
        let left: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept"]);
    }

    #[test]
    fn headers_of_one_connection_stay_on_it() {
        let mut parts = parts(|r| {
            r.header("connection", "close, x-private")
                .header("x-private", "1")
                .header("transfer-encoding", "chunked")
                .header("te", "trailers")
                .header("expect", "100-continue")
        });
        assert_eq!(prepare_request(&mut parts, "a.local"), None);
        assert!(parts.headers.is_empty(), "{:?}", parts.headers);
    }

    #[test]
    fn a_websocket_is_asked_for_again_and_nothing_else_is() {
        let ask = |protocol: &'static str| {
            let mut parts = parts(|r| {
                r.header("connection", "keep-alive, Upgrade")
                    .header("upgrade", protocol)
            });
            let wanted = prepare_request(&mut parts, "a.local");
            (wanted.is_some(), parts.headers.contains_key("upgrade"))
        };
        assert_eq!(ask("websocket"), (true, true));
        assert_eq!(ask("h2c"), (false, false));
    }

    #[test]
    fn cookies_of_http2_become_one_line_and_the_host_is_told() {
        let mut parts = parts(|r| {
            r.version(Version::HTTP_2)
                .uri("https://a.local:8443/x")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
        });
        prepare_request(&mut parts, "a.local:8443");
        assert_eq!(parts.headers.get("cookie").unwrap(), "a=1; b=2");
        assert_eq!(parts.headers.get("host").unwrap(), "a.local:8443");
    }

    #[test]
    fn the_host_is_read_without_port_case_and_final_dot() {
        let of = |parts: request::Parts| host_of(&parts.uri, &parts.headers);
        let host = |value: &'static str| of(parts(|r| r.header("host", value)));
        assert_eq!(host("Willow.Local:8443").as_deref(), Some("willow.local"));
        assert_eq!(host("willow.local.").as_deref(), Some("willow.local"));
        assert_eq!(host("[fd00::1]:8443").as_deref(), Some("fd00::1"));
        assert_eq!(host("192.168.1.5").as_deref(), Some("192.168.1.5"));
        assert_eq!(host(""), None);
        assert_eq!(of(parts(|r| r)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_host_header_makes_a_name_that_is_not_lower_case(value in "[!-~]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(&value).unwrap());
            if let Some(host) = host_of(&Uri::from_static("/"), &headers) {
                proptest::prop_assert!(!host.is_empty());
                proptest::prop_assert!(!host.bytes().any(|b| b.is_ascii_uppercase()));
            }
        }
    }
}
