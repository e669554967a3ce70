//! Pages in our own words, for when there is nobody behind us to ask.
//!
//! Invariant: a page needs nothing but itself (no file, no script of another origin), its policy
//! forbids everything else, and text from outside is escaped.

use http::{HeaderValue, Response, StatusCode, header};
use rustls::crypto::ring;

use super::body::{Body, answer};

/// Looks like the web interface at its plainest; follows the system's light or dark.
const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.55 system-ui,sans-serif;max-width:44rem;margin:8vh auto;padding:0 1.25rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
a.button{display:inline-block;margin:.25rem .5rem .25rem 0;padding:.6rem 1rem;border-radius:.6rem;
background:#2f6f4f;color:#fff;text-decoration:none;font-weight:600}
a.second{background:none;color:inherit;border:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:.6rem;margin:.5rem 0;padding:.6rem 1rem}
summary{cursor:pointer;font-weight:600}
li{margin:.35rem 0}
code{background:var(--soft);padding:.1rem .3rem;border-radius:.3rem;overflow-wrap:anywhere}
.note{color:#777;font-size:.9rem}
";

/// Text as it may stand in HTML, also inside quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The words of a short piece of our own HTML.
pub(super) fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    for (entity, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, c);
    }
    text
}

/// A value nobody can guess, once per answer.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without randomness there is no TLS either, so this cannot fail where a page can be served; if
    // it did, a page would stay without its style and script.
    let _ = ring::default_provider().secure_random.fill(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One page: a title and HTML below it.
pub(super) struct Page<'a> {
    pub(super) status: StatusCode,
    pub(super) title: &'a str,
    pub(super) html: &'a str,
    pub(super) script: Option<Script<'a>>,
    /// Seconds until the browser asks again.
    pub(super) refresh: Option<u32>,
}

/// A page's script and where it may talk to.
pub(super) struct Script<'a> {
    pub(super) text: &'a str,
    pub(super) connect: &'a str,
}

impl Page<'_> {
    pub(super) fn render(&self) -> Response<Body> {
        let nonce = nonce();
        let refresh = self.refresh.map_or_else(String::new, |seconds| {
            format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">")
        });
        let (script, connect) = match &self.script {
            Some(Script { text, connect }) => (
                format!("<script nonce=\"{nonce}\">{text}</script>"),
                *connect,
            ),
            None => (String::new(), "'none'"),
        };
        let title = escape(self.title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{refresh}\
             <title>{title}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{}</main>{script}</body></html>\n",
            self.html
        );
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
             connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let mut response = answer(self.status, "text/html; charset=utf-8", html);
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A page that says one thing.
pub(super) fn message(status: StatusCode, title: &str, html: &str) -> Response<Body> {
    Page {
        status,
        title,
        html: &format!("<p>{html}</p>"),
        script: None,
        refresh: None,
    }
    .render()
}

/// A page that says one thing and looks again by itself.
pub(super) fn passing_trouble(status: StatusCode, title: &str, html: &str) -> Response<Body> {
    Page {
        status,
        title,
        html: &format!("<p>{html}</p><p class=\"note\">This page tries again by itself.</p>"),
        script: None,
        refresh: Some(5),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        assert_eq!(
            escape("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
        assert_eq!(plain_text("a <b>bold</b> &lt;name&gt;"), "a bold <name>");
    }

    #[test]
    fn every_page_has_a_nonce_of_its_own_and_allows_nothing_else() {
        let policy = || {
            let page = message(StatusCode::OK, "t", "x");
            let policy = &page.headers()[header::CONTENT_SECURITY_POLICY];
            policy.to_str().unwrap().to_owned()
        };
        assert_ne!(policy(), policy());
        assert!(policy().starts_with("default-src 'none';"));
        assert!(policy().contains("connect-src 'none';"));
    }
}
