//! The whole of the hello service: an HTTP server on port 8080 that answers with one greeting.
//!
//! It is one static program without a runtime, so the image holds nothing else. The greeting is read once,
//! at start: the package restarts the service when the file changes (see `startos/main.ts`).
//!
//! `GET /` is the page, `GET /big?mb=N` streams N million bytes, for testing downloads: its bytes are the
//! big-endian 64-bit numbers 0, 1, 2, ... so that any part of it can be checked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, fs, process, thread};

const PORT: u16 = 8080;
/// Longest request head accepted, in bytes.
const MAX_HEAD: u64 = 16 * 1024;
/// How long a connection may stay silent.
const SILENCE: Duration = Duration::from_secs(60);
const MAX_MEGABYTES: u64 = 10_000;

fn main() {
    let path = env::args()
        .nth(1)
        .unwrap_or_else(|| fail("usage: hello CONFIG-FILE"));
    let config =
        fs::read_to_string(&path).unwrap_or_else(|e| fail(&format!("cannot read `{path}`: {e}")));
    let greeting = config
        .lines()
        .find_map(|line| line.strip_prefix("greeting="));
    let greeting =
        greeting.unwrap_or_else(|| fail(&format!("`{path}` has no line `greeting=...`")));
    let page: &'static str = Box::leak(page(greeting).into_boxed_str());

    let listener = TcpListener::bind(("0.0.0.0", PORT))
        .unwrap_or_else(|e| fail(&format!("cannot listen on port {PORT}: {e}")));
    log(&format!(
        "listening on port {PORT}, greeting with `{greeting}`"
    ));
    for stream in listener.incoming().flatten() {
        // A thread that cannot be started drops its connection; the client sees it closed and may retry.
        let _ = thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(move || serve(&stream, page));
    }
}

/// Answers requests on one connection until either side has had enough. A connection that breaks is the
/// client's business, so the error goes nowhere.
fn serve(stream: &TcpStream, page: &str) {
    let _ = stream
        .set_read_timeout(Some(SILENCE))
        .and(stream.set_write_timeout(Some(SILENCE)));
    let _ = stream.set_nodelay(true);
    let mut input = BufReader::new(stream);
    while let Ok(Some(request)) = read_head(&mut input) {
        if answer(stream, &request, page).is_err() {
            return;
        }
    }
}

/// The request line, with the headers skipped; `None` once the client has closed.
fn read_head(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = input.take(MAX_HEAD);
    let (mut request, mut line) = (String::new(), String::new());
    if head.read_line(&mut request)? == 0 {
        return Ok(None);
    }
    while line != "\r\n" && line != "\n" {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(request))
}

fn answer(mut out: &TcpStream, request: &str, page: &str) -> io::Result<()> {
    let mut words = request.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    log(&format!("{method} {target}"));
    let head_only = method == "HEAD";
    if !head_only && method != "GET" {
        // What follows may be a body, so the connection cannot be used again.
        text(
            out,
            "405 Method Not Allowed",
            "text/plain",
            "Only GET and HEAD are answered.\n",
            false,
        )?;
        return Err(io::ErrorKind::Unsupported.into());
    }
    match path {
        "/" => text(out, "200 OK", "text/html; charset=utf-8", page, head_only),
        "/big" => match query.strip_prefix("mb=").and_then(|n| n.parse().ok()) {
            Some(megabytes @ 0..=MAX_MEGABYTES) => {
                let size = megabytes * 1_000_000;
                head(out, "200 OK", "application/octet-stream", size)?;
                if head_only {
                    Ok(())
                } else {
                    counted(&mut out, size / 8)
                }
            }
            _ => text(
                out,
                "400 Bad Request",
                "text/plain",
                "Ask for /big?mb=N, N up to 10000.\n",
                head_only,
            ),
        },
        _ => text(
            out,
            "404 Not Found",
            "text/plain",
            "There is only / and /big?mb=N.\n",
            head_only,
        ),
    }
}

fn head(mut out: &TcpStream, status: &str, kind: &str, length: u64) -> io::Result<()> {
    out.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n")
            .as_bytes(),
    )
}

fn text(
    mut out: &TcpStream,
    status: &str,
    kind: &str,
    body: &str,
    head_only: bool,
) -> io::Result<()> {
    head(out, status, kind, body.len() as u64)?;
    if head_only {
        Ok(())
    } else {
        out.write_all(body.as_bytes())
    }
}

/// Writes the numbers 0 up to `count`, in chunks of 64 KiB.
fn counted(out: &mut impl Write, count: u64) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(64 * 1024);
    for start in (0..count).step_by(8 * 1024) {
        chunk.clear();
        (start..count.min(start + 8 * 1024))
            .for_each(|n| chunk.extend_from_slice(&n.to_be_bytes()));
        out.write_all(&chunk)?;
    }
    Ok(())
}

fn page(greeting: &str) -> String {
    let greeting = greeting.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Hello</title>\
         <style>body{{font:2rem system-ui;display:grid;place-items:center;min-height:90vh}}</style>\
         <h1>{greeting}</h1>\n"
    )
}

/// Whoever reads the log may be gone; that must not end the service, as `println!` would.
fn log(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn fail(message: &str) -> ! {
    eprintln!("hello: {message}");
    process::exit(1)
}
