//! Puts the agent, the runtime and the web interface into the binary.
//!
//! `make` builds the three and says where they are; without that there is nothing to embed, and a
//! binary that lacks them would only fail later.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

fn main() {
    let agent = input("COPPICE_AGENT");
    let runtime = input("COPPICE_RUNTIME_JS");
    let web = input("COPPICE_WEB_DIST");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut code = String::new();
    for (name, path) in [("AGENT", &agent), ("RUNTIME", &runtime)] {
        writeln!(
            code,
            "pub(crate) static {name}: &[u8] = include_bytes!({path:?});"
        )
        .expect("writing to a string");
    }
    let mut files = BTreeMap::new();
    collect(&web, &web, &mut files);
    assert!(
        files.contains_key("index.html"),
        "{} holds no web interface; run `make run` or `make test`",
        web.display()
    );
    writeln!(
        code,
        "pub(crate) static ASSETS: &[coppice_net::edge::Asset] = &["
    )
    .expect("writing to a string");
    for (name, path) in &files {
        let bytes = fs::read(path).expect("the file was just listed");
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let gzip = gzipped(&out, name, &bytes);
        // Compiled from a copy: the folder may be built anew while the compiler runs.
        let copy = out.join(name.replace('/', "_"));
        fs::write(&copy, &bytes).expect("OUT_DIR can be written");
        writeln!(
            code,
            "coppice_net::edge::Asset {{ path: {name:?}, bytes: include_bytes!({copy:?}), content_type: {:?}, etag: {etag:?}, gzip: {gzip} }},",
            content_type(name),
        )
        .expect("writing to a string");
    }
    code.push_str("];\n");
    fs::write(out.join("embedded.rs"), code).expect("OUT_DIR can be written");
}

/// A path that `make` gives; a change of what is there builds anew.
fn input(name: &str) -> PathBuf {
    println!("cargo::rerun-if-env-changed={name}");
    let Some(path) = env::var_os(name) else {
        panic!(
            "{name} is not set: build with `make run` or `make test`, which build the parts first"
        );
    };
    println!("cargo::rerun-if-changed={}", path.display());
    PathBuf::from(path)
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("a folder of the build can be read").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            files.insert(name.to_string_lossy().into_owned(), path);
        }
    }
}

/// The expression for a file's gzip form; files that hardly shrink have none.
fn gzipped(out: &Path, name: &str, bytes: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("writing to memory");
    let gzip = encoder.finish().expect("writing to memory");
    if gzip.len() * 10 > bytes.len() * 9 {
        return "None".to_owned();
    }
    let path = out.join(format!("{}.gz", name.replace('/', "_")));
    fs::write(&path, gzip).expect("OUT_DIR can be written");
    format!("Some(include_bytes!({path:?}))")
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "webmanifest") => "application/json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
