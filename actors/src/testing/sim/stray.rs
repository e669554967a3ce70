//! Late and repeated messages: whatever may come to an actor although it waits for it no longer, or not yet.
//!
//! Not the answer that it waits for: nobody else can give that one. What stands in its mailbox may change that
//! before the message is read, so all answers are failures, of which every machine makes a new beginning.

use std::time::Duration;

use super::machine::below;
use crate::{
    host::Host,
    model::DesiredStatus,
    service::{
        container::{
            ContainerMsg,
            step::{self as container, Ending},
        },
        runtime::{
            RuntimeMsg,
            step::{self as runtime},
        },
    },
};

/// An answer, and the state that waits for it.
const AWAITED: [(&str, &str); 9] = [
    ("NotYet", "Settling"),
    ("Looked", "Looking"),
    ("Cleared", "Clearing"),
    ("Created", "Creating"),
    ("Destroyed", "Stopping"),
    ("InitDone", "Initialising"),
    ("StartDone", "Starting"),
    ("StopDone", "Stopping"),
    ("ExitDone", "Exiting"),
];

/// Where they find an actor; what is passed quickly is waited for, and what is come to rarely more often.
pub(super) const STATES: [(&str, &str); 38] = [
    ("runtime", "Settling"),
    ("runtime", "Settling"),
    ("runtime", "Settling"),
    ("runtime", "Asleep"),
    ("runtime", "Asleep"),
    ("runtime", "Waking"),
    ("runtime", "Waking"),
    ("runtime", "Waking"),
    ("runtime", "Waiting"),
    ("container", "Looking"),
    ("container", "Clearing"),
    ("container", "Creating"),
    ("container", "Up"),
    ("container", "Stopping"),
    ("container", "Gone"),
    ("runtime", "Launching"),
    ("runtime", "Initialising"),
    ("runtime", "Idle"),
    ("runtime", "Starting"),
    ("runtime", "Running"),
    ("runtime", "Stopping"),
    ("runtime", "Exiting"),
    ("container", "Gone"),
    ("runtime", "Exited"),
    ("runtime", "Waiting"),
    ("runtime", "Waiting"),
    ("runtime", "Exiting"),
    ("runtime", "Exiting"),
    ("runtime", "Exiting"),
    ("runtime", "Exited"),
    ("runtime", "Exited"),
    ("container", "Clearing"),
    ("container", "Held"),
    ("container", "Held"),
    ("container", "Held"),
    ("runtime", "Held"),
    ("runtime", "Held"),
    ("runtime", "Held"),
];

/// Sends some to an actor of a service in `state`, or one of each; gives their names.
pub(super) fn send(host: &Host, at: (&str, &str), id: &str, removal: &str) -> Vec<&'static str> {
    let kinds = if at.0 == "container" { 8 } else { 16 };
    let mut which: Vec<u64> = (0..kinds).collect();
    for last in (1..which.len()).rev() {
        which.swap(last, below(last as u64 + 1) as usize);
    }
    if below(2) == 0 {
        which.truncate(1 + below(4) as usize);
    }
    let send = |which| send_one(host, at, id, removal, which);
    which.into_iter().filter_map(send).collect()
}

fn send_one(
    host: &Host,
    (machine, state): (&str, &str),
    id: &str,
    removal: &str,
    which: u64,
) -> Option<&'static str> {
    let service = host.service(id)?;
    let failed = || "stray".to_owned();
    if machine == "container" {
        let input = match which {
            0 => container::Input::Looked(Err(failed())),
            1 => container::Input::Cleared(Err(failed())),
            2 => container::Input::Created(Err(failed())),
            3 if state != "Up" => container::Input::Ended {
                how: Ending::Code(0),
            },
            4 if state == "Gone" => container::Input::Stop {
                grace: Duration::from_secs(1),
            },
            5 => container::Input::Destroyed(Err(failed())),
            6 => container::Input::Release,
            _ => container::Input::Wake,
        };
        let name = input.variant();
        let sent = !AWAITED.contains(&(name, state))
            && service.container_slot.cast(ContainerMsg::Input(input));
        return sent.then_some(name);
    }
    // Asked by a removal that thinks it is up, or asked again.
    let exits = removal == "exit" || matches!(state, "Exiting" | "Exited");
    let input = match which {
        0 if !matches!(state, "Waiting" | "Waking") => runtime::Input::AgentUp {
            live: Some(0),
            next: 0,
            asleep: None,
        },
        1 if state != "Launching" => runtime::Input::SpawnFailed(failed()),
        2 => runtime::Input::RuntimeUp { generation: 0 },
        3 => runtime::Input::RuntimeEnded {
            generation: 0,
            code: None,
            signal: Some(9),
            oom_kills: None,
        },
        4 => runtime::Input::RuntimeMissing { generation: 0 },
        5 => runtime::Input::InitDone(Err(failed())),
        // In these it would be believed, and `main` come up all the same.
        6 if !matches!(state, "Idle" | "Starting") => runtime::Input::StartDone(Err(failed())),
        7 => runtime::Input::StopDone(Err(failed())),
        8 => runtime::Input::ExitDone(Err(failed())),
        9 if exits => runtime::Input::Exit,
        10 if matches!(
            state,
            "Exiting" | "Exited" | "Stopping" | "Waiting" | "Settling" | "Asleep" | "Waking"
        ) =>
        {
            runtime::Input::Desired(DesiredStatus::Running)
        }
        11 => runtime::Input::Release,
        12 => runtime::Input::Drowsy { generation: 0 },
        13 => runtime::Input::NotYet,
        14 => runtime::Input::Rouse,
        _ => runtime::Input::Wake,
    };
    let name = input.variant();
    let sent =
        !AWAITED.contains(&(name, state)) && service.runtime_slot.cast(RuntimeMsg::Input(input));
    sent.then_some(name)
}
