use coppice_supervision::{ChildId, Failure, TreePath};

use super::*;

fn path(names: &[&'static str]) -> TreePath {
    let (root, below) = names.split_first().unwrap();
    let root = TreePath::root(ChildId::from(*root));
    below
        .iter()
        .fold(root, |at, name| at.child(ChildId::from(*name)))
}

fn event(supervisor: &[&'static str], what: What) -> SupervisionEvent {
    SupervisionEvent {
        at: Mono::from_millis(0),
        supervisor: path(supervisor),
        what,
    }
}

fn gave_up(child: &'static str, last: ExitReason) -> ExitReason {
    ExitReason::Shutdown(ShutdownDetail::Intensity {
        child: child.into(),
        last: Box::new(last),
    })
}

fn failed() -> ExitReason {
    ExitReason::Abnormal(Failure::text("no"))
}

#[test]
fn a_container_in_which_no_runtime_can_be_kept_up_is_given_up() {
    let reason = gave_up("runtime", failed());
    let work = ["core", "services", "a", "work"];
    let ending = event(
        &work,
        What::Ending {
            reason: reason.clone(),
        },
    );
    assert_eq!(given_up_on(&ending), Some("a"));
    let reason = gave_up("work", reason);
    let ending = event(&work[..3], What::Ending { reason });
    assert_eq!(given_up_on(&ending), Some("a"));
    let reason = gave_up("container", failed());
    let ending = event(&work[..3], What::Ending { reason });
    assert_eq!(given_up_on(&ending), Some("a"));
}

#[test]
fn a_container_in_which_no_daemon_of_the_hosts_can_be_kept_up_is_given_up() {
    let work = ["core", "services", "a", "work"];
    let ended = |last| {
        ExitReason::Shutdown(ShutdownDetail::Significant {
            child: "hosted".into(),
            last: Box::new(last),
        })
    };
    let reason = ended(gave_up("web", failed()));
    let ending = event(
        &work,
        What::Ending {
            reason: reason.clone(),
        },
    );
    assert_eq!(given_up_on(&ending), Some("a"));
    let reason = gave_up("work", reason);
    let ending = event(&work[..3], What::Ending { reason });
    assert_eq!(given_up_on(&ending), Some("a"));
    // A bug of the daemon's actor is none of the container's.
    let reason = ended(gave_up("web", ExitReason::Panic("a bug".into())));
    assert_eq!(given_up_on(&event(&work, What::Ending { reason })), None);
}

#[test]
fn an_actor_of_coppice_that_keeps_failing_condemns_nothing() {
    let work = ["core", "services", "a", "work"];
    for reason in [
        gave_up("health", failed()),
        gave_up("runtime", ExitReason::Panic("a bug".into())),
        gave_up("runtime", ExitReason::Killed),
        ExitReason::Shutdown(ShutdownDetail::Requested),
    ] {
        let ending = event(
            &work,
            What::Ending {
                reason: reason.clone(),
            },
        );
        assert_eq!(given_up_on(&ending), None, "{reason}");
        let reason = gave_up("work", reason);
        let ending = event(&work[..3], What::Ending { reason });
        assert_eq!(given_up_on(&ending), None);
    }
    let reason = gave_up("edge", failed());
    let ending = event(&["core", "network"], What::Ending { reason });
    assert_eq!(given_up_on(&ending), None);
}

#[test]
fn parking_gives_the_container_up_whatever_the_reason() {
    let parked = What::Parked {
        child: "a".into(),
        reason: ExitReason::Killed,
        next_probe: Mono::from_millis(9),
    };
    assert_eq!(
        given_up_on(&event(&["core", "services"], parked)),
        Some("a")
    );
}
