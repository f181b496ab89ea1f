//! Whether two servers gave the same answer.
//!
//! Answers of the same language are compared as they are: InfluxDB's JSON to the last column, but for how it was
//! cut into chunks. Answers of different languages are compared cell by cell: a host, a time and a field.

mod cells;
mod influx;
mod json;

use crate::{process::Kind, queries::Question};

/// The first difference between two servers' answers to a question, in words; `None` if there is none.
pub(crate) fn difference(question: &Question, a: (Kind, &[u8]), b: (Kind, &[u8])) -> Option<String> {
    if a == b {
        return None;
    }
    let speaks_influxql = |kind| matches!(kind, Kind::Skywatch | Kind::Influxdb);
    let found = if speaks_influxql(a.0) && speaks_influxql(b.0) {
        influx::whole(a.1).and_then(|a| Ok(json::difference(&a, &influx::whole(b.1)?)))
    } else {
        cells::of(question, a).and_then(|a| Ok(cells::difference(&a, &cells::of(question, b)?)))
    };
    found.unwrap_or_else(|error| Some(format!("{error:#}")))
}

/// Relative difference up to which two numbers count as the same: sums may be added in another order, and
/// VictoriaMetrics keeps 15 decimal digits. Below 1 it is absolute.
const TOLERANCE: f64 = 1e-9;

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}
