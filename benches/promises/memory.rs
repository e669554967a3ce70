//! What the server and a service hold while they do nothing.

use std::fs;

use crate::{
    api::Api, pass, processes::Process, samples::tell, server::Server, start, until::seconds,
};

/// What is looked at, after the service has run this long with nothing to do.
const IDLE: u64 = 5;

pub(crate) fn tell_all(server: &Server) {
    println!("\nmemory, hello running and idle for {IDLE} s");
    let api = Api::of(server);
    start::start(&api);
    pass(seconds(IDLE));
    for (what, process) in [
        ("heart", server.heart()),
        ("core", server.child("core")),
        ("edge", server.child("edge")),
        ("agent (pid 1 of hello)", server.init("hello")),
        ("Node runtime of hello", server.process("hello", "node")),
    ] {
        let (rss, pss, own) = of(&process);
        tell(
            what,
            &format!("RSS {rss:.1} MB, PSS {pss:.1} MB, private dirty {own:.1} MB"),
        );
    }
    start::stop(&api, server);
}

/// Resident, proportional, and written by itself alone, in MB.
pub(crate) fn of(process: &Process) -> (f64, f64, f64) {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).unwrap();
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim()
            .trim_end_matches(" kB")
            .parse::<f64>()
            .unwrap_or_default()
            * 1024.0
            / 1e6
    };
    (field("Rss:"), field("Pss:"), field("Private_Dirty:"))
}
