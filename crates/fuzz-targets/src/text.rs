//! Text from clients: queries and line protocol.

use skywatch_influxql::{Query, Statement, parse_query, split_condition};
use skywatch_model::{
    line::{ParseOptions, PointBatch, Precision, parse, parse_exactly},
    series,
};

/// Any text can be read; what was read can be written and read again, and means the same.
pub(crate) fn influxql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(query) = parse_query(text) else { return };
    for statement in &query.statements {
        if let Statement::Select(select) = statement {
            let zone = select.time_zone.as_ref().map_or(jiff::tz::TimeZone::UTC, |zone| zone.zone().clone());
            let _bounds = split_condition(select.condition.as_ref(), 1_600_000_000_000_000_000, &zone);
        }
    }
    is_written_as_read(&query);
}

pub(crate) fn is_written_as_read(query: &Query) {
    let written = query.to_string();
    if !written.contains("[REDACTED]") {
        assert_eq!(parse_query(&written).as_ref(), Ok(query), "{written}");
    }
}

const OPTIONS: ParseOptions = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 42 };

/// Any body can be read; the short path agrees with the exact one; what was read can be written and read again.
pub(crate) fn line_protocol(body: &[u8]) {
    let (mut batch, mut exact) = (PointBatch::new(), PointBatch::new());
    let errors = parse(body, OPTIONS, &mut batch);
    assert_eq!(errors, parse_exactly(body, OPTIONS, &mut exact));
    assert_eq!(batch.rejected(), exact.rejected());
    assert_eq!(format!("{batch:?}"), format!("{exact:?}"));
    points_are_written_as_read(&batch);
}

/// Points of whatever source are line protocol, and what they say of themselves agrees.
pub(crate) fn points_are_written_as_read(batch: &PointBatch<'_>) {
    let points = format!("{batch:?}");
    let mut text = String::new();
    for point in batch.points() {
        let key = point.series_key();
        let (measurement, tags) = series::parse_key(key);
        assert_eq!(measurement, point.measurement());
        assert_eq!(series::make_key(&measurement, tags), key);
        assert_eq!(point.series_hash(), series::fnv1a64(key.as_bytes()));
        point.append_line(&mut text);
    }
    let mut again = PointBatch::new();
    assert_eq!(parse(text.as_bytes(), OPTIONS, &mut again), []);
    assert_eq!(points, format!("{again:?}"));
    for (point, copy) in batch.points().zip(again.points()) {
        let mut pushed = PointBatch::new();
        pushed.push(point.series_key(), point.time(), point.fields()).expect("it was read");
        assert_eq!(format!("{point:?}"), format!("{:?}", pushed.point(0)));
        assert_eq!(format!("{copy:?}"), format!("{point:?}"));
    }
}
