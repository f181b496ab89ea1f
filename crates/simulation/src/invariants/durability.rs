//! What was acknowledged is there, deletes hold, nothing is invented, and points are whole.
//!
//! A delete concerns the shards that there are when it begins: a point that goes to a shard made meanwhile may stay. So it
//! has to hold for points that were acknowledged before it began.
//!
//! A cell shows what its greatest version says. Of an operation that was not acknowledged nobody knows whether it was
//! carried out, so it may explain what is seen, and nothing has to be explained by it.

use std::{collections::BTreeMap, time::Duration};

use skywatch_model::Version;

use crate::{
    Violation,
    ledger::{Action, Operation},
};

/// The points that an owner or a query shows: series and time, and the values of both fields.
pub type Found = BTreeMap<(String, i64), (Option<i64>, Option<i64>)>;

/// One operation, for one point.
#[derive(Debug)]
struct Event {
    /// The operation's number.
    number: u64,
    /// The greatest version it may have.
    latest: Version,
    /// The version that has to be there, if it was acknowledged.
    must: Option<Version>,
    began: Duration,
    /// When it was acknowledged first, ever.
    acknowledged: Duration,
}

impl Event {
    fn new(number: u64, operation: &Operation, latest: Version, before: Duration) -> Self {
        let acknowledged = operation.acknowledged.iter().map(|(_, at)| *at).min().unwrap_or(Duration::MAX);
        let must = operation.acknowledged_before(before);
        Self { number, latest, must, began: operation.began, acknowledged }
    }

    /// Whether it has to be there, and is later than a version.
    fn must_exceed(&self, version: Version) -> bool {
        self.must.is_some_and(|must| must > version)
    }
}

/// What is known of one point.
#[derive(Debug, Default)]
struct History {
    writes: Vec<Event>,
    deletes: Vec<Event>,
}

fn histories(operations: &[Operation], before: Duration) -> BTreeMap<(String, i64), History> {
    let mut histories: BTreeMap<(String, i64), History> = BTreeMap::new();
    let numbered = || (0u64..).zip(operations);
    for (number, operation) in numbered() {
        let (Action::Write(points), Some(latest)) = (&operation.action, operation.latest()) else { continue };
        for point in points {
            let history = histories.entry(point.clone()).or_default();
            history.writes.push(Event::new(number, operation, latest, before));
        }
    }
    for (number, operation) in numbered() {
        let (Action::Delete(series, times), Some(latest)) = (&operation.action, operation.latest()) else {
            continue;
        };
        let concerned = histories.iter_mut().filter(|((of, time), _)| of == series && times.contains(*time));
        for (_, history) in concerned {
            history.deletes.push(Event::new(number, operation, latest, before));
        }
    }
    histories
}

/// Compares what `place` shows with what was acknowledged before a time.
pub fn check(
    operations: &[Operation],
    before: Duration,
    found: &Found,
    place: &str,
) -> Result<(), Violation> {
    let histories = histories(operations, before);
    for (point, values) in found {
        check_present(histories.get(point), point, *values, place)?;
    }
    for (point, history) in histories.iter().filter(|(point, _)| !found.contains_key(*point)) {
        check_absent(history, point, place)?;
    }
    Ok(())
}

fn about(violation: Violation, (series, time): &(String, i64), numbers: &[u64]) -> Violation {
    let words = numbers.iter().map(|number| format!("op {number} "));
    violation.about(words.chain([format!("{series}@{time}")]))
}

fn check_present(
    history: Option<&History>,
    point: &(String, i64),
    values: (Option<i64>, Option<i64>),
    place: &str,
) -> Result<(), Violation> {
    let (series, time) = point;
    let (Some(a), Some(b)) = values else {
        let details = format!("{place} shows {series}@{time} with {values:?}: half a point");
        return Err(about(Violation::new("points are whole", details), point, &[]));
    };
    if a != b {
        let details = format!("{place} shows {series}@{time} with a field of op {a} and one of op {b}");
        return Err(about(Violation::new("points are whole", details), point, &[a as u64, b as u64]));
    }
    let writer = a as u64;
    let written = history.and_then(|history| history.writes.iter().find(|write| write.number == writer));
    let (Some(history), Some(shown)) = (history, written) else {
        let details = format!("{place} shows {series}@{time} from op {writer}, which did not write it");
        return Err(about(Violation::new("nothing is invented", details), point, &[writer]));
    };
    let version = shown.latest;
    let broken = |invariant, other: &Event, why: &str| {
        let (number, must) = (other.number, other.must.unwrap_or_default());
        let details =
            format!("{place} shows {series}@{time} from op {writer} ({version}), {why} op {number} ({must})");
        Err(about(Violation::new(invariant, details), point, &[writer, number]))
    };
    let holds_for_it = |delete: &&Event| shown.acknowledged < delete.began && delete.must_exceed(version);
    if let Some(delete) = history.deletes.iter().find(holds_for_it) {
        return broken("deletes hold", delete, "which was deleted later by");
    }
    if let Some(write) = history.writes.iter().find(|write| write.must_exceed(version)) {
        return broken("acknowledged is there", write, "and not from the later and acknowledged");
    }
    Ok(())
}

fn check_absent(history: &History, point: &(String, i64), place: &str) -> Result<(), Violation> {
    for write in &history.writes {
        let Some(version) = write.must else { continue };
        if history.deletes.iter().all(|delete| delete.latest < version) {
            let ((series, time), number) = (point, write.number);
            let details = format!("{place} lacks {series}@{time}, acknowledged as op {number} ({version})");
            return Err(about(Violation::new("acknowledged is there", details), point, &[number]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use skywatch_model::TimeRange;

    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    /// An operation that began at the second of its version, and was acknowledged half a second later.
    fn operation(action: Action, version: u64, acknowledged: bool) -> Operation {
        let began = Duration::from_secs(version);
        let version = Version(version);
        let acknowledged = acknowledged.then_some((version, began + Duration::from_millis(500)));
        Operation { action, began, attempts: vec![version], acknowledged: acknowledged.into_iter().collect() }
    }

    fn write(version: u64, acknowledged: bool) -> Operation {
        operation(Action::Write(vec![("m".into(), 5)]), version, acknowledged)
    }

    fn delete(version: u64, acknowledged: bool) -> Operation {
        operation(Action::Delete("m".into(), TimeRange::new(0, 9)), version, acknowledged)
    }

    fn judge(operations: &[Operation], found: Option<(i64, i64)>) -> Result<(), &'static str> {
        let found = found.map(|(a, b)| (("m".to_owned(), 5), (Some(a), Some(b))));
        check(operations, NOW, &found.into_iter().collect(), "x").map_err(|violation| violation.invariant)
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there_and_what_was_not_may_be() {
        assert_eq!(judge(&[write(1, true)], None), Err("acknowledged is there"));
        assert_eq!(judge(&[write(1, true)], Some((0, 0))), Ok(()));
        assert_eq!(judge(&[write(1, false)], None), Ok(()));
        assert_eq!(judge(&[write(1, false)], Some((0, 0))), Ok(()));
        assert_eq!(judge(&[write(1, true), write(2, true)], Some((0, 0))), Err("acknowledged is there"));
        assert_eq!(judge(&[write(1, true), write(2, false)], Some((0, 0))), Ok(()));
        assert_eq!(judge(&[write(2, true), write(1, true)], Some((0, 0))), Ok(()));
    }

    #[test]
    fn deletes_hide_what_is_older_and_only_that() {
        assert_eq!(judge(&[write(1, true), delete(2, true)], None), Ok(()));
        assert_eq!(judge(&[write(1, true), delete(2, true)], Some((0, 0))), Err("deletes hold"));
        assert_eq!(judge(&[write(1, true), delete(2, false)], None), Ok(()));
        assert_eq!(judge(&[write(1, true), delete(2, false)], Some((0, 0))), Ok(()));
        assert_eq!(judge(&[write(3, true), delete(2, true)], None), Err("acknowledged is there"));
        assert_eq!(judge(&[write(3, true), delete(2, true)], Some((0, 0))), Ok(()));
    }

    #[test]
    fn a_delete_need_not_hold_for_what_was_written_meanwhile() {
        let mut late = delete(2, true);
        late.began = Duration::from_millis(1_200);
        assert_eq!(judge(&[write(1, true), late], Some((0, 0))), Ok(()));
    }

    #[test]
    fn nothing_is_invented_or_torn() {
        assert_eq!(judge(&[write(1, true)], Some((7, 7))), Err("nothing is invented"));
        assert_eq!(judge(&[write(1, true), write(2, true)], Some((0, 1))), Err("points are whole"));
    }

    #[test]
    fn what_is_acknowledged_later_is_not_asked_for_yet() {
        let found = Found::new();
        assert!(check(&[write(1, true)], Duration::from_millis(10), &found, "x").is_ok());
    }
}
