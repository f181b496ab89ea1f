//! `muteTimes` of Grafana's files, and where policies and rules refer to them.

use jiff::tz::TimeZone;

use super::{
    Draft,
    reader::{Reader, Table},
    yaml::{Node, Value},
};
use crate::timing::{
    self, MuteTimes, MuteTiming, TimeInterval, parse_days_of_month, parse_months, parse_weekdays, parse_years,
};

const INTERVAL_KEYS: &[&str] = &["times", "weekdays", "days_of_month", "months", "years", "location"];

/// What refers to mute timings, of policies and of rules with receivers of their own.
pub(super) const REFERENCES: [&str; 2] = ["mute_time_intervals", "active_time_intervals"];

pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_>, draft: &mut Draft) {
    for node in reader.items(top, "muteTimes") {
        if let Some(timing) = mute_timing(reader, node) {
            draft.add_mute_timing(reader, timing, node.at);
        }
    }
}

fn mute_timing(reader: &mut Reader<'_>, node: &Node) -> Option<MuteTiming> {
    let table = reader.table(node, "a mute timing", &["orgId", "name", "time_intervals"])?;
    let name = reader.required_text(&table, "name")?;
    let nodes = reader.items(&table, "time_intervals");
    if nodes.is_empty() {
        reader.problem(table.at, format!("mute timing {name:?} needs \"time_intervals\""));
    }
    let intervals = nodes.iter().filter_map(|node| interval(reader, node)).collect();
    Some(MuteTiming { name, intervals })
}

fn interval(reader: &mut Reader<'_>, node: &Node) -> Option<TimeInterval> {
    let table = reader.table(node, "a time interval", INTERVAL_KEYS)?;
    Some(TimeInterval {
        times: times(reader, &table),
        weekdays: ranges(reader, &table, "weekdays", parse_weekdays),
        days_of_month: ranges(reader, &table, "days_of_month", parse_days_of_month),
        months: ranges(reader, &table, "months", parse_months),
        years: ranges(reader, &table, "years", parse_years),
        zone: zone(reader, &table),
    })
}

fn times(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<(u16, u16)> {
    let mut times = Vec::new();
    for node in reader.items(table, "times") {
        let Some(range) = reader.table(node, "a range of times", &["start_time", "end_time"]) else {
            continue;
        };
        let (start, end) =
            (reader.required_text(&range, "start_time"), reader.required_text(&range, "end_time"));
        let Some((start, end)) = start.zip(end) else { continue };
        match timing::parse_times(&start, &end) {
            Ok(range) => times.push(range),
            Err(message) => reader.problem(node.at, message),
        }
    }
    times
}

fn ranges<T>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut ranges = Vec::new();
    for (text, at) in reader.texts(table, key) {
        match parse(&text) {
            Ok(range) => ranges.push(range),
            Err(message) => reader.problem(at, message),
        }
    }
    ranges
}

fn zone(reader: &mut Reader<'_>, table: &Table<'_>) -> TimeZone {
    let name = reader.text(table, "location").unwrap_or_default();
    timing::parse_zone(&name).unwrap_or_else(|message| {
        reader.problem(table.position("location"), message);
        TimeZone::UTC
    })
}

/// The mute timings that a policy or a rule refers to.
pub(super) fn references(reader: &mut Reader<'_>, table: &Table<'_>) -> MuteTimes {
    let mut names = |key: &str| {
        if let Some(node) = table.get(key)
            && !matches!(node.value, Value::Sequence(_) | Value::Scalar { .. })
        {
            reader.problem(
                node.at,
                format!("{key:?} is a list of names of mute timings, and here is {}", node.kind()),
            );
            return Vec::new();
        }
        reader.texts(table, key).into_iter().map(|(name, _)| name).collect()
    };
    let [mute, active] = REFERENCES;
    MuteTimes { mute: names(mute), active: names(active) }
}
