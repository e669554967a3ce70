//! Every kill of a supervised thing has a restart record, and a record stays.

use serde_json::{Value, json};

use super::{
    invariants::Settled,
    model::Order,
    plan::Victim,
    strike::{Dealt, Hit},
    subjects::Subject,
};

/// Records kept per service; older ones are dropped.
const KEPT: u64 = 50;

/// The service's records, the oldest first.
pub(super) fn all(why: &Value) -> Vec<Value> {
    let mut records = why["restarts"].as_array().cloned().unwrap_or_default();
    records.sort_by_key(seq);
    records
}

fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

/// Gives how many records the round has brought.
pub(super) fn check(
    subjects: &[Subject],
    before: &Settled,
    after: &Settled,
    dealt: &Dealt,
) -> Result<usize, String> {
    let mut brought = 0;
    for (number, subject) in subjects.iter().enumerate() {
        let (Some(old), Some(now)) = (before.of(subject.id()), after.of(subject.id())) else {
            continue;
        };
        if matches!(dealt.asked(number), Some(Order::Install | Order::Uninstall)) {
            continue;
        }
        let last = old.records.last().map_or(0, seq);
        kept(&old.records, &now.records).map_err(|lost| format!("`{}`: {lost}", subject.id()))?;
        let new: Vec<&Value> = now
            .records
            .iter()
            .filter(|record| seq(record) > last)
            .collect();
        brought += new.len();
        if let Some(wanted) = wanted(subject, number, old, dealt)
            && !new.iter().any(|record| wanted.fits(record))
        {
            return Err(format!(
                "`{}` has no record of {:?} that names the death; new are: {:#}",
                subject.id(),
                wanted.parts,
                json!(new)
            ));
        }
    }
    Ok(brought)
}

/// A record is dropped for its age alone, and never changed but for its log lines.
fn kept(old: &[Value], now: &[Value]) -> Result<(), String> {
    let newest = now.last().map_or(0, seq);
    for record in old.iter().filter(|record| seq(record) + KEPT > newest) {
        let same = |other: &&Value| {
            ["seq", "at", "what", "cause"]
                .iter()
                .all(|field| other[*field] == record[*field])
        };
        if now.iter().find(same).is_none() {
            return Err(format!("a record was lost or changed: {record:#}"));
        }
    }
    Ok(())
}

/// A record that has to be there: of one of these parts.
struct Wanted {
    parts: Vec<&'static str>,
}

impl Wanted {
    fn fits(&self, record: &Value) -> bool {
        let killed = record["cause"]["kind"] == "signal" && record["cause"]["signal"] == 9;
        // How a pid 1 ended is told to its parent, and a monitor that is killed tells nobody. What died
        // while no core lived is found dead.
        let found_dead = ["container-died", "runtime-died"]
            .iter()
            .any(|kind| record["cause"]["kind"] == *kind);
        self.parts.iter().any(|part| record["what"] == *part) && (killed || found_dead)
    }
}

/// What the hits on a service must have left: a record of the largest part that was hit, since what is
/// inside ends with it.
fn wanted(
    subject: &Subject,
    number: usize,
    old: &super::invariants::Seen,
    dealt: &Dealt,
) -> Option<Wanted> {
    // Who was there when the round began; a process that just came up may die unnoticed with another.
    let hits: Vec<&Hit> = dealt
        .on(number)
        .filter(|hit| !hit.was_leaving)
        .filter(|hit| hit.process.as_ref().is_some_and(|process| old.has(process)))
        .collect();
    let container = |hit: &&&Hit| matches!(hit.at, Victim::Agent(_) | Victim::Monitor(_));
    let runtime = |hit: &&&Hit| matches!(hit.at, Victim::Node(_));
    let parts = if hits.iter().any(|hit| container(&hit)) {
        vec!["container"]
    } else if hits.iter().any(|hit| runtime(&hit)) {
        vec!["runtime"]
    } else {
        // A daemon that dies while its service is asked to change may be taken for one that was ended.
        hits.first().filter(|_| dealt.asked(number).is_none())?;
        let alone = dealt.on(number).count() == 1;
        let larger: &[&str] = if alone {
            &[]
        } else {
            &["runtime", "container"]
        };
        [subject.recorded(), larger].concat()
    };
    Some(Wanted { parts })
}
