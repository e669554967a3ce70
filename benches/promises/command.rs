//! How long somebody waits for the command line: the whole of `coppice service list`, from the start of the process to
//! its end.

use std::process::Command;

use crate::{
    console::succeeded,
    now,
    samples::{Samples, millis, tell, verdict},
    server::{COPPICE, Server},
};

/// What was promised, in milliseconds.
const PROMISED: f64 = 30.0;

pub(crate) fn measure(server: &Server, runs: usize) {
    println!("\ncoppice service list, {runs} times, in turn with a program that does nothing");
    let (mut nothing, mut bare, mut list) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..runs {
        nothing.push(timed(&mut Command::new("true")));
        bare.push(timed(Command::new(COPPICE).arg("--version")));
        list.push(timed(&mut server.command(&["service", "list"])));
    }
    tell("/bin/true", &nothing.words());
    tell("coppice --version", &bare.words());
    tell("coppice service list", &list.words());
    tell(
        "its 95th percentile",
        &format!("{} ms", millis(list.percentile(95))),
    );
    let median = list.median().as_secs_f64() * 1000.0;
    verdict("service list, median", median, PROMISED, " ms");
}

fn timed(command: &mut Command) -> std::time::Duration {
    let began = now();
    let output = command.output().unwrap();
    let took = began.elapsed();
    succeeded("a command", &output);
    took
}
