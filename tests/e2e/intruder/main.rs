//! A program that tries to get out of where it is: one attempt for each promise of isolation.
//!
//! Compiled by the tests, statically, with nothing but the standard library, and run as root: in a service's
//! container, in a subcontainer of it, and on the host itself. There the attempts that a host's root may make
//! must get through, or a refusal in a container would prove nothing.
//!
//! `intruder attempts inside|control KEY=VALUE…` prints a line for each attempt: its name, `through`,
//! `refused` or `absent`, and what happened. Every attempt runs in a process of its own, with a deadline, and
//! whatever gets through does no harm: it looks, or writes what was there.

mod acts;
mod calls;
mod cgroups;
mod devices;
mod frames;
mod host_files;
mod kernel;
mod mounts;
mod network;
mod processes;
mod rights;
mod sys;
mod targets;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::FromRawFd,
    process::exit,
};

use targets::Targets;

/// Longest that one attempt may take.
const SECONDS: u32 = 60;

/// What came of an attempt.
pub enum Outcome {
    /// It got what it is not to have.
    Through(String),
    Refused(String),
    /// There is nothing of the kind on this machine.
    Absent(String),
}

/// An attempt, and whether the host's root succeeds with it.
pub struct Attempt {
    pub name: &'static str,
    pub controlled: bool,
    pub run: fn(&Targets) -> Outcome,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["attempts", place, targets @ ..] => attempts(*place == "control", &Targets::of(targets)),
        ["frames", targets @ ..] => println!("{}", frames::send_all(&Targets::of(targets))),
        ["watches"] => acts::take_all_watches(),
        ["plant-key", name] => println!("{}", acts::plant_key(name)),
        ["swap", one, other] => acts::swap_for_ever(one, other),
        ["reboot"] => println!("{}", acts::reboot()),
        other => {
            eprintln!("cannot {other:?}");
            exit(2);
        }
    }
}

fn attempts(control: bool, targets: &Targets) {
    if control && let Err(why) = mounts::leave_the_hosts_own(targets) {
        eprintln!("{why}");
        exit(2);
    }
    let all = [
        host_files::ATTEMPTS,
        devices::ATTEMPTS,
        kernel::ATTEMPTS,
        calls::ATTEMPTS,
        rights::ATTEMPTS,
        processes::ATTEMPTS,
        mounts::ATTEMPTS,
        cgroups::ATTEMPTS,
        network::ATTEMPTS,
    ];
    for attempt in all.concat() {
        if control && !attempt.controlled {
            continue;
        }
        println!("{}\t{}", attempt.name, apart(attempt, targets));
    }
}

/// Runs an attempt in a process of its own.
fn apart(attempt: &Attempt, targets: &Targets) -> String {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors; what comes after the fork runs in a process with one thread.
    unsafe {
        assert_eq!(sys::pipe(ends.as_mut_ptr()), 0);
        let child = sys::fork();
        assert!(child >= 0, "{}", sys::last());
        if child == 0 {
            sys::alarm(SECONDS);
            let (word, text) = match (attempt.run)(targets) {
                Outcome::Through(text) => ("through", text),
                Outcome::Refused(text) => ("refused", text),
                Outcome::Absent(text) => ("absent", text),
            };
            let text = text.replace(['\n', '\t'], " ");
            let _ = File::from_raw_fd(ends[1]).write_all(format!("{word}\t{text}").as_bytes());
            exit(0);
        }
        sys::close(ends[1]);
        let mut told = String::new();
        let _ = File::from_raw_fd(ends[0]).read_to_string(&mut told);
        let mut status = 0;
        sys::waitpid(child, &raw mut status, 0);
        if told.is_empty() {
            return format!("refused\tit was ended: {status:#x}");
        }
        told
    }
}
