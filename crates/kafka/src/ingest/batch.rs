//! Records of one partition made into batches, one for each place their points go. Pure.

use bytes::Bytes;
use skywatch_model::line::{LineError, ParseOptions, PointBatch, Precision, parse};

use super::routing::{RecordTarget, Routing, Target};
use crate::dead_letters::SetAside;

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) appended_ms: u64,
    pub(super) key: Option<Bytes>,
    /// Those that the routing asks for.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// The points of some records for one place.
#[derive(Debug)]
pub(super) struct TargetBatch {
    pub(super) target: Target,
    pub(super) batch: PointBatch<'static>,
    /// Positions of the records that have points in it, ascending.
    pub(super) records: Vec<usize>,
}

/// What became of records.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) batches: Vec<TargetBatch>,
    /// What cannot be stored, and why.
    pub(super) poison: Vec<(SetAside, String)>,
    pub(super) bad_lines: u64,
}

impl Incoming {
    /// The record, or the part of it that is `body`, to be set aside.
    pub(super) fn set_aside(&self, body: Bytes) -> SetAside {
        SetAside {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.appended_ms,
            key: self.key.clone(),
            body,
        }
    }
}

/// Parses records, each by itself so that none can spoil another, and deals their points by place.
pub(super) fn prepare(records: &[Incoming], routing: &Routing, precision: Precision) -> Prepared {
    let mut prepared = Prepared::default();
    let mut parsed = PointBatch::new();
    for (index, record) in records.iter().enumerate() {
        let mut points = parsed.recycle();
        let default_time_ns = i64::try_from(record.appended_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let errors = parse(&record.body, ParseOptions { precision, default_time_ns }, &mut points);
        prepared.bad_lines += points.rejected();
        if !errors.is_empty() {
            prepared.poison.push(bad_lines(record, &errors, points.rejected()));
        }
        let of_record = routing.of_record(&record.topic, &record.headers);
        if let Err(reason) = prepared.deal(index, &points, routing, &of_record) {
            prepared.poison.push((record.set_aside(record.body.clone()), reason));
        }
        parsed = points.recycle();
    }
    prepared
}

impl Prepared {
    /// Adds the points of a record to the batches of their places. The first reason why one has none.
    fn deal(
        &mut self,
        index: usize,
        points: &PointBatch<'_>,
        routing: &Routing,
        of_record: &RecordTarget,
    ) -> Result<(), String> {
        let mut problem = None;
        let mut place = 0;
        for point in points.points() {
            let (target, key) = if routing.looks_at_tags() {
                routing.of_point(of_record, point.series_key())
            } else {
                (Target::default(), point.series_key().into())
            };
            let target = if routing.looks_at_tags() { &target } else { of_record.target() };
            if target.database.is_empty() {
                problem = problem.or_else(|| Some("nothing names a database for it".to_owned()));
                continue;
            }
            if self.batches.get(place).is_none_or(|batch| batch.target != *target) {
                place = self.batches.iter().position(|batch| batch.target == *target).unwrap_or_else(|| {
                    let (target, batch) = (target.clone(), PointBatch::new());
                    self.batches.push(TargetBatch { target, batch, records: Vec::new() });
                    self.batches.len() - 1
                });
            }
            let into = &mut self.batches[place];
            match into.batch.push(&key, point.time(), point.fields()) {
                Ok(()) if into.records.last() == Some(&index) => {}
                Ok(()) => into.records.push(index),
                Err(error) => problem = problem.or_else(|| Some(error.to_string())),
            }
        }
        problem.map_or(Ok(()), Err)
    }
}

/// The lines that could not be parsed; the whole record where they are not known in full.
fn bad_lines(record: &Incoming, errors: &[LineError], rejected: u64) -> (SetAside, String) {
    let is_whole =
        |error: &LineError| error.text.len() < LineError::MAX_TEXT && !error.text.contains('\u{fffd}');
    let body = if errors.len() as u64 == rejected && errors.iter().all(is_whole) {
        errors.iter().map(|error| error.text.as_str()).collect::<Vec<_>>().join("\n").into()
    } else {
        record.body.clone()
    };
    let reasons = errors.iter().map(|error| format!("line {}: {}", error.line, error.reason));
    (record.set_aside(body), reasons.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, body: &'static [u8]) -> Incoming {
        Incoming {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            appended_ms: 1_000 + offset,
            key: None,
            headers: Vec::new(),
            body: Bytes::from_static(body),
        }
    }

    fn fixed() -> Routing {
        Routing { database: "db".to_owned(), ..Routing::default() }
    }

    fn points(batch: &PointBatch<'_>) -> Vec<(String, i64)> {
        batch.points().map(|point| (point.series_key().to_owned(), point.time())).collect()
    }

    #[test]
    fn a_record_spoils_no_other_and_its_time_is_that_of_points_without_one() {
        let records = [
            record(0, b"a v=1"),
            record(1, b"b v=\"open"),
            record(2, b"c v=1 5\nnot a line\nc v=2 6\n"),
            record(3, b"\xff\xfe binary"),
            record(4, b""),
        ];
        let prepared = prepare(&records, &fixed(), Precision::Nanosecond);
        assert_eq!(prepared.batches.len(), 1);
        let batch = &prepared.batches[0];
        let expected = [("a", 1_000_000_000), ("c", 5), ("c", 6)].map(|(key, time)| (key.to_owned(), time));
        assert_eq!(points(&batch.batch), expected);
        assert_eq!(batch.records, [0, 2]);
        let poison: Vec<(u64, &[u8])> =
            prepared.poison.iter().map(|(letter, _)| (letter.offset, &*letter.body)).collect();
        let expected: [(u64, &[u8]); 3] = [(1, b"b v=\"open"), (2, b"not a line"), (3, b"\xff\xfe binary")];
        assert_eq!(poison, expected, "bad lines alone, and what is no text as it was");
        assert!(prepared.poison[1].1.starts_with("line 2: "), "{:?}", prepared.poison[1]);
        assert_eq!(prepared.bad_lines, 3);
    }

    #[test]
    fn points_of_one_record_may_go_to_several_places() {
        let routing = Routing { database_tag: Some("db".to_owned()), ..Routing::default() };
        let records =
            [record(0, b"m,db=x v=1 1\nm,db=y v=1 2\nm v=1 3\nm,db=x v=1 4"), record(1, b"m,db=y v=1 5")];
        let prepared = prepare(&records, &routing, Precision::Nanosecond);
        let found: Vec<_> = prepared
            .batches
            .iter()
            .map(|batch| (batch.target.database.as_str(), points(&batch.batch), batch.records.clone()))
            .collect();
        let m = |time| ("m".to_owned(), time);
        assert_eq!(found, [("x", vec![m(1), m(4)], vec![0]), ("y", vec![m(2), m(5)], vec![0, 1])]);
        assert_eq!(prepared.poison.len(), 1);
        assert_eq!(prepared.poison[0].1, "nothing names a database for it");
    }
}
