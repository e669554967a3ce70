use coppice_wire::agent::ProcessStarted;

use super::*;

fn process(id: &str, kind: ProcessKind, generation: Option<u64>) -> ProcessStarted {
    ProcessStarted {
        seq: 1,
        id: id.into(),
        pid: 9,
        kind,
        generation,
        leaf: String::new(),
        root: None,
        argv: Vec::new(),
        daemon: false,
        grace_ms: None,
        at_ms: 0,
    }
}

fn list(processes: Vec<ProcessStarted>) -> ProcessList {
    ProcessList { processes, seq: 9 }
}

#[test]
fn whatever_outlived_its_generation_is_killed_however_old_it_is() {
    let list = list(vec![
        process("exec-1", ProcessKind::Exec, Some(2)),
        process("leader-1", ProcessKind::Leader, Some(5)),
        process("host", ProcessKind::Host, None),
    ]);
    assert_eq!(outlived(&list, 9), BTreeSet::from([2, 5, 7, 8]));
}

#[test]
fn nothing_of_the_generation_that_starts_is_killed() {
    let list = list(vec![process("runtime-1", ProcessKind::Runtime, Some(1))]);
    assert_eq!(outlived(&list, 1), BTreeSet::from([0]));
    assert_eq!(outlived(&ProcessList::default(), 0), BTreeSet::new());
}

#[test]
fn only_a_node_process_is_a_live_runtime() {
    let daemon = process("exec-1", ProcessKind::Exec, Some(4));
    assert_eq!(live_runtime(&list(vec![daemon])), None);
    let node = process("runtime-4", ProcessKind::Runtime, Some(4));
    assert_eq!(live_runtime(&list(vec![node])), Some(4));
}
