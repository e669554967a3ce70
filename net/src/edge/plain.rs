//! Plain HTTP: how a browser comes to trust us, and the way to HTTPS once it does.
//!
//! Invariant: nothing but public words and the public certificate is served here, whatever is asked
//! for; a form sent in plain text is refused, not forwarded.
//!
//! ```text
//!  first visit ─► page: explains, offers the certificate, tries HTTPS from the browser
//!                   └─ HTTPS works ─► cookie ─► HTTPS
//!  later visit, with the cookie ─► 307 to HTTPS at once
//!  /trust ─► the page again, whatever the cookie says
//! ```

use std::{fmt::Write, net::IpAddr};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE},
};

use crate::table::Role;

use super::{
    Edge,
    body::{Body, answer, empty},
    headers::host_of,
    live::Live,
    pages::{Page, Script, escape},
    serve::PROBE,
    tls::Client,
};

/// Set by the page's script when HTTPS worked from this browser.
const COOKIE_NAME: &str = "coppice_https";

/// Shows the page even to browsers that trust us: for other devices, or when trust was lost.
const SHOW: &str = "/trust";

/// Answers a request in plain text.
pub(super) fn answer_to<B>(edge: &Edge, client: &Client, request: &Request<B>) -> Response<Body> {
    let live = edge.live.borrow();
    let (path, method) = (request.uri().path(), request.method());
    if let Some(download) = live.trust.download(path) {
        return download;
    }
    let Some(host) = host_of(request.uri(), request.headers()).filter(|host| live.is_ours(host))
    else {
        return answer(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "Nothing here has that name.\n",
        );
    };
    let origin = match live.role(&client.listener) {
        // Somebody who reached a TLS port and forgot the s.
        Some(Role::Https | Role::Tls { .. }) => origin(&host, client.local.port()),
        // Somebody who came by address is sent to the dashboard by name: that is what its
        // certificate is for.
        _ if live.has_https(&host) => origin(&host, edge.https_port()),
        _ => origin(live.home(), edge.https_port()),
    };
    let target = match request.uri().path_and_query() {
        Some(rest) if path != SHOW => format!("{origin}{rest}"),
        _ => format!("{origin}/"),
    };
    if method != Method::GET && method != Method::HEAD {
        return answer(
            StatusCode::FORBIDDEN,
            "text/plain; charset=utf-8",
            format!("This was sent without encryption, so nothing was done. Use {origin}.\n"),
        );
    }
    let mut response = if path != SHOW && has_cookie(request) {
        redirect(&target)
    } else {
        page(&live, &origin, &target, path == SHOW)
    };
    if method == Method::HEAD {
        *response.body_mut() = empty();
    }
    response
}

fn has_cookie<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|cookie| cookie.trim() == format!("{COOKIE_NAME}=1"))
}

/// The beginning of every HTTPS address of `name`.
pub(super) fn origin(name: &str, port: u16) -> String {
    let name = match name.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        _ => name.to_owned(),
    };
    match port {
        443 => format!("https://{name}"),
        port => format!("https://{name}:{port}"),
    }
}

/// 307 and not 308: the browser asks again next time, so a user who lost the certificate gets the
/// page back by removing one cookie.
fn redirect(target: &str) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn page(live: &Live, origin: &str, target: &str, stay: bool) -> Response<Body> {
    let hostname = escape(live.trust.hostname());
    let fingerprint = live.trust.fingerprint();
    let target_text = escape(target);
    let html = format!(
        r#"
<p id="state">Your browser does not know this server yet. It can talk to <b>{hostname}</b> in a way nobody
else can read, but first it wants proof that it is {hostname} that answers. Only you can give it that
proof, because only you know whose server this is: install its certificate once on each device, and
every service on it opens without a warning.</p>
<p><a class="button" href="/ca.crt">Download the certificate</a>
<a class="button second" href="/ca.mobileconfig">Profile for iPhone, iPad</a>
<a class="button second" id="go" href="{target_text}">Continue to HTTPS</a></p>
<p class="note">Its fingerprint (SHA-256), to compare with what the server itself shows you:<br><code>{fingerprint}</code></p>
<h2>Then tell your device to trust it</h2>
<details><summary>Windows</summary><ol>
<li>Open the downloaded file and choose <b>Install Certificate</b>, <b>Current User</b>.</li>
<li>Choose <b>Place all certificates in the following store</b>, <b>Browse</b>, <b>Trusted Root Certification Authorities</b>.</li>
<li>Finish, confirm, and close the browser once.</li></ol></details>
<details><summary>macOS</summary><ol>
<li>Open the downloaded file; Keychain Access adds it.</li>
<li>Find <b>{hostname}</b> there, open it, and under <b>Trust</b> choose <b>Always Trust</b>.</li></ol></details>
<details><summary>iPhone, iPad</summary><ol>
<li>Download the <b>profile</b> above in Safari and allow it.</li>
<li>Settings, <b>Profile Downloaded</b>, <b>Install</b>.</li>
<li>Settings, General, About, <b>Certificate Trust Settings</b>: turn {hostname} on.</li></ol></details>
<details><summary>Android</summary><ol>
<li>Settings, search for <b>CA certificate</b>, and choose <b>Install anyway</b>.</li>
<li>Choose the downloaded file.</li>
<li>Firefox only: Settings, About Firefox, tap the logo five times; then Secret Settings, <b>Use third party CA certificates</b>.</li></ol></details>
<details><summary>Linux</summary><ol>
<li>Chrome and others: Settings, Privacy and security, Security, <b>Manage certificates</b>, <b>Authorities</b>, <b>Import</b>; trust it for websites.</li>
<li>Whole system (Debian): copy the file to <code>/usr/local/share/ca-certificates/</code> and run <code>sudo update-ca-certificates</code>.</li></ol></details>
<details><summary>Firefox on a computer</summary><ol>
<li>Settings, Privacy &amp; Security, <b>View Certificates</b>, <b>Authorities</b>, <b>Import</b>.</li>
<li>Choose the downloaded file and tick <b>Trust this CA to identify websites</b>.</li></ol></details>
<p class="note">This page looks every few seconds whether your browser trusts {hostname}, and takes you on when it does.</p>
"#
    );
    let script = script(origin, target, stay);
    let title = format!("Say hello to {}", live.trust.hostname());
    let mut response = Page {
        status: StatusCode::OK,
        title: &title,
        html: &html,
        script: Some(Script {
            text: &script,
            connect: origin,
        }),
        refresh: None,
    }
    .render();
    if stay {
        let forget = format!("{COOKIE_NAME}=; Path=/; Max-Age=0; SameSite=Lax");
        if let Ok(forget) = HeaderValue::from_str(&forget) {
            response.headers_mut().insert(SET_COOKIE, forget);
        }
    }
    response
}

/// Tries HTTPS; a request that gets any answer went through a certificate the browser trusts.
fn script(origin: &str, target: &str, stay: bool) -> String {
    let probe = text_for_script(&format!("{origin}{PROBE}"));
    let target = text_for_script(target);
    let then = if stay {
        "document.getElementById('state').textContent='This browser trusts this server.';clearInterval(timer);".to_owned()
    } else {
        format!(
            "document.cookie='{COOKIE_NAME}=1; Path=/; Max-Age=31536000; SameSite=Lax';location.replace({target});"
        )
    };
    format!(
        "const look=async()=>{{if(document.hidden)return;try{{await fetch({probe},{{mode:'no-cors',cache:'no-store',credentials:'omit'}});}}catch{{return;}}{then}}};const timer=setInterval(look,4000);look();"
    )
}

/// A JavaScript string that cannot end early, neither in the script nor in the page.
fn text_for_script(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "-._~:/?=,;@!*+%".contains(c) {
            quoted.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{unit:04x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_break_out_of_the_script() {
        let quoted = text_for_script("/a\"</script><script>'&\u{2028}x");
        assert!(!quoted[1..quoted.len() - 1].contains(['"', '<', '>', '\'', '&', '\u{2028}']));
        assert!(quoted.starts_with("\"/a\\u0022\\u003c/script"), "{quoted}");
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let with = |value: &'static str| {
            has_cookie(&Request::builder().header(COOKIE, value).body(()).unwrap())
        };
        assert!(with("a=b; coppice_https=1"));
        assert!(!with("a=b; coppice_https=10"));
        assert!(!with("xcoppice_https=1"));
    }
}
