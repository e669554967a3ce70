use super::*;

fn life() -> Arc<str> {
    "life".into()
}

fn started(seq: u64, id: &str) -> ProcessStarted {
    ProcessStarted {
        seq,
        id: id.into(),
        pid: 9,
        kind: ProcessKind::Exec,
        generation: Some(1),
        leaf: String::new(),
        root: None,
        argv: vec!["/bin/server".into()],
        daemon: true,
        grace_ms: None,
        at_ms: 0,
    }
}

fn exited(seq: u64, id: &str) -> ProcessExited {
    ProcessExited {
        seq,
        id: id.into(),
        pid: 9,
        kind: ProcessKind::Exec,
        generation: Some(1),
        code: Some(1),
        signal: None,
        ran_ms: 5,
        oom_kills: None,
        root: None,
        program: Some("/bin/server".into()),
        daemon: true,
        asked: false,
    }
}

fn list(seq: u64, processes: Vec<ProcessStarted>) -> ProcessList {
    ProcessList { processes, seq }
}

fn node(generation: u64) -> ProcessStarted {
    ProcessStarted {
        kind: ProcessKind::Runtime,
        generation: Some(generation),
        ..started(1, "runtime")
    }
}

/// A ledger that has had its first list, of nothing.
fn watching() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.asked();
    assert!(ledger.listed(list(0, vec![])).is_empty());
    ledger
}

fn starts(ledger: &mut Ledger, seq: u64, id: &str) -> Vec<Change> {
    ledger.reported(&life(), ProcessEvent::Started(started(seq, id)))
}

fn ends(ledger: &mut Ledger, seq: u64, id: &str) -> Vec<Change> {
    ledger.reported(&life(), ProcessEvent::Exited(exited(seq, id)))
}

#[test]
fn a_daemon_is_shown_from_its_start_to_its_end_and_its_death_comes_before_the_acknowledgement() {
    let mut ledger = watching();
    assert_eq!(
        starts(&mut ledger, 1, "a"),
        [Change::Began(started(1, "a")), Change::Safe { seq: 1 }]
    );
    let exit = exited(2, "a");
    assert_eq!(
        ends(&mut ledger, 2, "a"),
        [
            Change::Died {
                exit,
                watched: true
            },
            Change::Safe { seq: 2 }
        ]
    );
}

#[test]
fn a_report_that_comes_twice_counts_once_and_is_acknowledged_again() {
    let mut ledger = watching();
    starts(&mut ledger, 1, "a");
    ends(&mut ledger, 2, "a");
    assert_eq!(starts(&mut ledger, 1, "a"), [Change::Safe { seq: 1 }]);
    assert_eq!(ends(&mut ledger, 2, "a"), [Change::Safe { seq: 2 }]);
}

#[test]
fn a_list_that_is_older_than_an_end_brings_no_ghost() {
    let mut ledger = watching();
    starts(&mut ledger, 1, "a");
    ledger.asked();
    ends(&mut ledger, 2, "a");
    assert!(ledger.listed(list(1, vec![started(1, "a")])).is_empty());
    // A list that is newer than the end is believed again.
    ledger.asked();
    let again = started(3, "a");
    assert_eq!(
        ledger.listed(list(3, vec![again.clone()])),
        [Change::Began(again)]
    );
}

#[test]
fn a_list_ends_what_it_does_not_know_unless_that_began_after_it() {
    let mut ledger = watching();
    starts(&mut ledger, 1, "a");
    starts(&mut ledger, 5, "b");
    ledger.asked();
    assert_eq!(
        ledger.listed(list(4, vec![])),
        [Change::Gone { id: "a".into() }]
    );
}

#[test]
fn a_daemon_that_died_while_the_core_was_away_is_told_as_such_whoever_saw_its_start() {
    let mut ledger = Ledger::default();
    ledger.asked();
    // The start of `a` was acknowledged by an earlier core; of `b` both are told now.
    assert!(ends(&mut ledger, 7, "a").is_empty(), "not before the list");
    assert!(starts(&mut ledger, 8, "b").is_empty());
    assert!(ends(&mut ledger, 9, "b").is_empty());
    let unseen = |seq, id: &str| Change::Died {
        exit: exited(seq, id),
        watched: false,
    };
    assert_eq!(
        ledger.listed(list(9, vec![node(1)])),
        [
            unseen(7, "a"),
            Change::Safe { seq: 7 },
            Change::Safe { seq: 8 },
            unseen(9, "b"),
            Change::Safe { seq: 9 },
        ]
    );
    assert!(ledger.had_its_runtime(Some(1)) && ledger.had_its_runtime(None));
    assert!(!ledger.had_its_runtime(Some(2)));
    let late = ends(&mut ledger, 10, "c");
    assert!(matches!(late[0], Change::Died { watched: true, .. }));
}

#[test]
fn a_question_that_the_package_asks_is_no_daemon() {
    let mut ledger = watching();
    let mut question = started(1, "q");
    question.daemon = false;
    let changes = ledger.reported(&life(), ProcessEvent::Started(question));
    assert_eq!(changes, [Change::Safe { seq: 1 }]);
    let mut answer = exited(2, "q");
    answer.daemon = false;
    let changes = ledger.reported(&life(), ProcessEvent::Exited(answer));
    assert_eq!(changes, [Change::Safe { seq: 2 }]);
}

#[test]
fn another_life_begins_with_nothing_and_asks_what_lives() {
    let mut ledger = watching();
    starts(&mut ledger, 41, "a");
    let other: Arc<str> = "other".into();
    let changes = ledger.reported(&other, ProcessEvent::Started(started(1, "a")));
    assert_eq!(changes, [Change::Gone { id: "a".into() }, Change::Ask]);
    ledger.asked();
    let lives = started(1, "a");
    assert_eq!(
        ledger.listed(list(1, vec![lives.clone()])),
        [Change::Began(lives), Change::Safe { seq: 1 }]
    );
}

#[test]
fn a_node_process_that_died_unseen_is_told_of_unless_another_lives() {
    let node_ended = || ProcessExited {
        kind: ProcessKind::Runtime,
        signal: Some(9),
        ..exited(2, "runtime")
    };
    let told = |living: Vec<ProcessStarted>| {
        let mut ledger = Ledger::default();
        ledger.asked();
        ledger.reported(&life(), ProcessEvent::Exited(node_ended()));
        ledger.listed(list(2, living))
    };
    let died = Change::Died {
        exit: node_ended(),
        watched: false,
    };
    assert_eq!(told(vec![]), [died, Change::Safe { seq: 2 }]);
    assert_eq!(told(vec![node(2)]), [Change::Safe { seq: 2 }]);
    // One that we see end is told of by its own actor.
    let mut ledger = watching();
    let seen = ledger.reported(&life(), ProcessEvent::Exited(node_ended()));
    assert_eq!(seen, [Change::Safe { seq: 2 }]);
}
