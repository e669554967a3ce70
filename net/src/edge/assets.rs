//! The web interface's files, as they lie in the binary.
//!
//! Invariant: a path either names a file exactly, or is a view of the single page and gets
//! `index.html`; nothing is looked up on a disk.

use std::collections::HashMap;

/// One file of the web interface.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path from the root, without the leading slash: `index.html`, `media/icon.svg`.
    pub path: &'static str,
    /// The content.
    pub bytes: &'static [u8],
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, quotes included.
    pub etag: &'static str,
    /// The content in gzip, where that is worth it.
    pub gzip: Option<&'static [u8]>,
}

/// The stand-in for the page's nonce in `index.html`, such as `<app-root
/// ngCspNonce="COPPICE_CSP_NONCE">`: each answer gets a fresh one there and in its policy.
pub const NONCE_PLACEHOLDER: &str = "COPPICE_CSP_NONCE";

/// All files by path.
#[derive(Debug)]
pub(crate) struct Assets {
    by_path: HashMap<&'static str, &'static Asset>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// A file, and whether its name changes with its content.
    File { asset: &'static Asset, hashed: bool },
    /// The single page.
    Index(&'static Asset),
    /// Neither: a missing file, or a build without a web interface.
    Nothing,
}

impl Assets {
    pub(crate) fn new(assets: &'static [Asset]) -> Self {
        Self {
            by_path: assets.iter().map(|asset| (asset.path, asset)).collect(),
        }
    }

    pub(crate) fn find(&self, path: &str) -> Found {
        let path = path.trim_start_matches('/');
        if path != "index.html"
            && let Some(asset) = self.by_path.get(path)
        {
            return Found::File {
                asset,
                hashed: is_hashed(path),
            };
        }
        // A view has no extension. A missing script must not be answered with a page, which a
        // browser would refuse with words about types and not about what is wrong.
        let last = path.rsplit('/').next().unwrap_or_default();
        match self.by_path.get("index.html") {
            Some(index) if path == "index.html" || !last.contains('.') => Found::Index(index),
            _ => Found::Nothing,
        }
    }
}

/// Whether a file name carries a hash of its content as Angular's builder writes it: eight upper
/// case letters or digits between the last `-` and the extension.
fn is_hashed(path: &str) -> bool {
    let Some((stem, _)) = path.rsplit_once('.') else {
        return false;
    };
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() == 8
            && hash
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn asset(path: &'static str) -> Asset {
        Asset {
            path,
            bytes: b"x",
            content_type: "text/plain",
            etag: "\"x\"",
            gzip: None,
        }
    }

    static FILES: &[Asset] = &[
        asset("index.html"),
        asset("main-ABCD1234.js"),
        asset("media/logo.svg"),
    ];

    #[test]
    fn files_are_found_exactly_and_hashed_ones_are_known() {
        let assets = Assets::new(FILES);
        assert!(matches!(
            assets.find("/main-ABCD1234.js"),
            Found::File { hashed: true, .. }
        ));
        assert!(matches!(
            assets.find("/media/logo.svg"),
            Found::File { hashed: false, .. }
        ));
    }

    #[test]
    fn views_of_the_single_page_get_the_page() {
        let assets = Assets::new(FILES);
        for view in [
            "/",
            "/index.html",
            "/services/hello",
            "/services/hello/logs",
        ] {
            assert!(matches!(assets.find(view), Found::Index(_)), "{view}");
        }
    }

    #[test]
    fn missing_files_are_missing() {
        let assets = Assets::new(FILES);
        for path in ["/main-00000000.js", "/favicon.ico", "/../etc/shadow.bak"] {
            assert!(matches!(assets.find(path), Found::Nothing), "{path}");
        }
        assert!(matches!(Assets::new(&[]).find("/"), Found::Nothing));
    }
}
