//! One static binary with two lives.
//!
//! As `coppice-agent` it is pid 1 of a service's container: it reaps, spawns and watches processes
//! for the host, keeps their output and their exits while the host is away. As `start-container`
//! (or `start-cli`) it is the command line packages call.
//!
//! Invariant: single-threaded throughout, so that a fork may do anything; no name service calls, so
//! that static linking is sound; no asynchronous runtime and no locale, so that it starts in a few
//! hundred microseconds (packages poll for its effects every millisecond).

use std::{env, ffi::OsString, os::unix::ffi::OsStrExt, path::Path, process::ExitCode};

mod cli;
mod local;
mod pid1;
mod sys;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = env::args_os().collect();
    let called = args
        .first()
        .and_then(|first| Path::new(first).file_name())
        .map_or(&b""[..], OsStrExt::as_bytes)
        .to_owned();
    args.drain(..args.len().min(1));
    // The name may also come as the first argument, for callers that cannot choose argv[0].
    let life = match args.first().map(|first| first.as_bytes()) {
        Some(b"start-container" | b"start-cli") => {
            args.remove(0);
            b"start-container".to_vec()
        }
        Some(b"coppice-agent") => {
            args.remove(0);
            b"coppice-agent".to_vec()
        }
        _ => called,
    };
    let status = if life == b"coppice-agent" {
        pid1::run()
    } else {
        cli::run(args)
    };
    // Exit statuses are bytes; what does not fit is a failure all the same.
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}
