//! Any text can be read; what was read can be written and read again, and means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skywatch_influxql::{Statement, parse_query, split_condition};

fuzz_target!(|text: &str| {
    let Ok(query) = parse_query(text) else { return };
    for statement in &query.statements {
        if let Statement::Select(select) = statement {
            let zone = select.time_zone.as_ref().map_or(jiff::tz::TimeZone::UTC, |zone| zone.zone().clone());
            let _bounds = split_condition(select.condition.as_ref(), 1_600_000_000_000_000_000, &zone);
        }
    }
    let written = query.to_string();
    if !written.contains("[REDACTED]") {
        assert_eq!(parse_query(&written).as_ref(), Ok(&query), "{written}");
    }
});
