//! Which pairs of state and input of the product's machines a simulation must meet, and which it must not.

use std::collections::{BTreeMap, BTreeSet};

use coppice_supervision::{INPUTS, PHASES};

use super::Outcome;
use crate::service::{container::step as container, runtime::step as runtime};

/// A state machine, what it can be in and what it can be handed.
struct Machine {
    name: &'static str,
    states: &'static [&'static str],
    inputs: &'static [&'static str],
    /// States on the way, each of which must have been left for a rest by time alone.
    on_the_way: &'static [&'static str],
}

const MACHINES: [Machine; 6] = [
    Machine {
        name: "container",
        states: container::State::VARIANTS,
        inputs: container::Input::VARIANTS,
        on_the_way: &["Looking", "Clearing", "Creating", "Stopping"],
    },
    Machine {
        name: "runtime",
        states: runtime::State::VARIANTS,
        inputs: runtime::Input::VARIANTS,
        on_the_way: &[
            "Waiting",
            "Launching",
            "Initialising",
            "Starting",
            "Settling",
            "Stopping",
            "Exiting",
        ],
    },
    Machine {
        name: "supervisor",
        states: PHASES,
        inputs: INPUTS,
        on_the_way: &["Booting", "Regrouping"],
    },
    // A job is done with a step, fails in it, or is found in it by the next life of the core.
    Machine {
        name: "install",
        states: &["begin", "ingest", "volumes", "init"],
        inputs: &["done", "failed", "found"],
        on_the_way: &["ingest", "volumes", "init"],
    },
    Machine {
        name: "update",
        states: &[
            "begin", "ingest", "stop", "snapshot", "exit", "swap", "init", "gate", "tidy",
        ],
        inputs: &["done", "failed", "found"],
        on_the_way: &["stop", "exit", "swap", "init", "gate"],
    },
    Machine {
        name: "uninstall",
        states: &["begin", "exit", "container", "remains"],
        inputs: &["done", "failed", "found"],
        on_the_way: &["exit", "container", "remains"],
    },
];

/// Pairs that cannot be met, each with the reason. One that is met after all fails the test as well.
struct Impossible {
    machine: &'static str,
    states: &'static [&'static str],
    /// None: whatever the input.
    inputs: &'static [&'static str],
    because: &'static str,
}

const IMPOSSIBLE: &[Impossible] = &[
    Impossible {
        machine: "container",
        states: &["Failed"],
        inputs: &[
            "Looked",
            "Cleared",
            "Created",
            "Ended",
            "Stop",
            "Destroyed",
            "Release",
            "Wake",
        ],
        because: "the actor ends, or holds, in the handler that makes it fail",
    },
    Impossible {
        machine: "container",
        states: &[
            "Looking", "Clearing", "Creating", "Up", "Held", "Stopping", "Gone",
        ],
        inputs: &["Hold"],
        because: "it is held only in the handler that makes it fail",
    },
    Impossible {
        machine: "runtime",
        states: &["Failed"],
        inputs: &[
            "AgentUp",
            "SpawnFailed",
            "RuntimeUp",
            "RuntimeEnded",
            "RuntimeMissing",
            "InitDone",
            "StartDone",
            "StopDone",
            "ExitDone",
            "Drowsy",
            "NotYet",
            "Rouse",
            "Exit",
            "Desired",
            "Release",
            "Wake",
        ],
        because: "the actor ends, or holds, in the handler that makes it fail",
    },
    Impossible {
        machine: "runtime",
        states: &[
            "Waiting",
            "Launching",
            "Initialising",
            "Starting",
            "Running",
            "Settling",
            "Asleep",
            "Waking",
            "Stopping",
            "Exiting",
            "Exited",
            "Held",
        ],
        inputs: &["Hold"],
        because: "it is held only in the handler that makes it or its start fail",
    },
    Impossible {
        machine: "supervisor",
        states: &["Ended"],
        inputs: &[],
        because: "the actor ends in the handler that ends it",
    },
    Impossible {
        machine: "supervisor",
        states: &["Running", "Regrouping", "Ending"],
        inputs: &["Boot"],
        because: "an actor tells itself so once, before anybody else can tell it anything",
    },
    Impossible {
        machine: "update",
        states: &["begin", "tidy"],
        inputs: &["failed"],
        because: "the simulated disk takes every write and gives every file up",
    },
    Impossible {
        machine: "uninstall",
        states: &["begin", "remains"],
        inputs: &["failed"],
        because: "the simulated disk takes every write and gives every file up",
    },
    Impossible {
        machine: "install",
        states: &["begin", "volumes"],
        inputs: &["failed"],
        because: "the simulated disk takes every write: it is the real one that fills up, in the tests of \
                  `reserve` and of the store",
    },
];

/// Pairs that a simulation may meet and need not: two rare things at once, in a supervisor within one
/// millisecond. Whoever decides by them is handed every input in every state by random scripts of its own: the
/// supervisor's core by `interleaving_tests`, the others by the `step/tests.rs` beside each.
const ELSEWHERE: &[(&str, &str, &[&str])] = &[
    // A removal that comes while the runtime comes up, or after the container could not be made.
    ("runtime", "Waiting", &["Exit"]),
    ("runtime", "Launching", &["Exit"]),
    ("runtime", "Initialising", &["Exit"]),
    // A removal of what waits for a dependency or for room.
    ("runtime", "Held", &["Exit"]),
    ("runtime", "Settling", &["Exit"]),
    ("runtime", "Waking", &["Exit"]),
    ("container", "Held", &["Stop"]),
    // Late answers to what was asked before the one try that is held.
    (
        "container",
        "Held",
        &["Looked", "Cleared", "Created", "Ended", "Destroyed"],
    ),
    ("runtime", "Idle", &["StartDone"]),
    (
        "supervisor",
        "Booting",
        &[
            "Ignored", "Unsteady", "Timer", "TryAgain", "Command", "Shutdown",
        ],
    ),
    ("supervisor", "Running", &["Ignored"]),
    (
        "supervisor",
        "Regrouping",
        &["Ignored", "Unsteady", "Timer", "TryAgain", "Command"],
    ),
    (
        "supervisor",
        "Ending",
        &[
            "Started",
            "Ignored",
            "StartFailed",
            "Unsteady",
            "Timer",
            "TryAgain",
            "Command",
            "Shutdown",
        ],
    ),
];

fn is_elsewhere(machine: &str, state: &str, input: &str) -> bool {
    let mut all = ELSEWHERE.iter();
    all.any(|(of, among, inputs)| *of == machine && *among == state && inputs.contains(&input))
}

fn impossible(machine: &str, state: &str, input: &str) -> Option<&'static str> {
    let mut all = IMPOSSIBLE.iter().filter(|one| one.machine == machine);
    let one = all.find(|one| {
        one.states.contains(&state) && (one.inputs.is_empty() || one.inputs.contains(&input))
    })?;
    Some(one.because)
}

/// Everything that is wrong with what was met.
pub(super) fn complaints(outcomes: &[Outcome]) -> Vec<String> {
    let mut met: BTreeSet<&str> = BTreeSet::new();
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in outcomes {
        met.extend(outcome.pairs.keys().map(String::as_str));
        for (place, times) in &outcome.left_from {
            *left.entry(place).or_default() += times;
        }
    }
    let mut complaints = Vec::new();
    for Machine {
        name,
        states,
        inputs,
        on_the_way,
    } in MACHINES
    {
        for state in states {
            for input in inputs {
                let pair = format!("{name} {state} {input}");
                match (met.contains(&*pair), impossible(name, state, input)) {
                    (true, None) | (false, Some(_)) => {}
                    (false, None) if is_elsewhere(name, state, input) => {}
                    (false, None) => complaints.push(format!("never met: {pair}")),
                    (true, Some(because)) => {
                        complaints.push(format!("met, although {because}: {pair}"));
                    }
                }
            }
        }
        for state in on_the_way {
            let place = format!("{name} {state}");
            if !left.contains_key(&*place) {
                complaints.push(format!("no way to a rest began at: {place}"));
            }
        }
    }
    complaints
}
