//! Remote write: a `WriteRequest` becomes points.
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1 }
//! TimeSeries   { repeated Label labels = 1, repeated Sample samples = 2 }
//! Label        { string name = 1, string value = 2 }
//! Sample       { double value = 1, int64 timestamp = 2 }
//! ```
//!
//! Metadata, exemplars and native histograms (fields that came later) are passed over.

use skywatch_model::{
    line::{FieldRef, PointBatch, PushError},
    series,
};

use crate::{
    NAME_LABEL,
    wire::{Message, WireError},
};

/// Where samples without a metric name go.
pub const DEFAULT_MEASUREMENT: &str = "prom_metric_not_specified";
/// The field that holds a sample's value.
pub const FIELD: &str = "value";

const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;

/// What became of the samples of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// NaN and infinite samples: left out without an error, as in InfluxDB since 1.8.6.
    pub not_finite: u64,
    /// Samples that no point can hold.
    pub refused: u64,
    /// Why the first of those was.
    pub reason: Option<PushError>,
}

/// Reads an unpacked body into `batch`. On an error the batch holds a part of it, which is not to be used.
pub fn decode_write(body: &[u8], batch: &mut PointBatch<'_>) -> Result<WriteReport, WireError> {
    let mut report = WriteReport::default();
    let mut labels = Vec::new();
    let mut request = Message::new(body);
    while let Some(field) = request.next_field()? {
        if field.number == 1 {
            let time_series = field.message("Timeseries")?;
            read_labels(time_series, &mut labels)?;
            push_samples(time_series, &series_key(&mut labels), batch, &mut report)?;
        }
    }
    Ok(report)
}

fn read_labels<'a>(
    mut time_series: Message<'a>,
    labels: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), WireError> {
    labels.clear();
    while let Some(field) = time_series.next_field()? {
        if field.number != 1 {
            continue;
        }
        let mut label = field.message("Labels")?;
        let (mut name, mut value) = ("", "");
        while let Some(field) = label.next_field()? {
            match field.number {
                1 => name = field.text("Name")?,
                2 => value = field.text("Value")?,
                _ => {}
            }
        }
        labels.push((name, value));
    }
    Ok(())
}

/// The series of these labels. Of labels with the same name the last counts; an empty label is none.
fn series_key(labels: &mut Vec<(&str, &str)>) -> String {
    labels.reverse();
    let name = labels.iter().find(|(name, value)| *name == NAME_LABEL && !value.is_empty());
    let measurement = name.map_or(DEFAULT_MEASUREMENT, |(_, value)| value);
    series::make_key(measurement, labels.drain(..))
}

fn push_samples(
    mut time_series: Message<'_>,
    series_key: &str,
    batch: &mut PointBatch<'_>,
    report: &mut WriteReport,
) -> Result<(), WireError> {
    while let Some(field) = time_series.next_field()? {
        if field.number != 2 {
            continue;
        }
        let mut sample = field.message("Samples")?;
        let (mut value, mut timestamp_ms) = (0.0, 0);
        while let Some(field) = sample.next_field()? {
            match field.number {
                1 => value = field.double("Value")?,
                2 => timestamp_ms = field.varint("Timestamp")?.cast_signed(),
                _ => {}
            }
        }
        let time_ns = timestamp_ms.checked_mul(NANOSECONDS_PER_MILLISECOND);
        let pushed = match time_ns {
            Some(time_ns) => batch.push(series_key, time_ns, [(FIELD, FieldRef::Float(value))]),
            None => Err(PushError::TimeOutOfRange),
        };
        match pushed {
            Ok(()) => {}
            Err(PushError::NotFinite) => report.not_finite += 1,
            Err(error) => {
                report.refused += 1;
                report.reason.get_or_insert(error);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{put_bytes, put_double, put_int64};

    fn time_series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Vec<u8> {
        let mut series = Vec::new();
        // Samples first: the order of fields is free.
        for (value, time_ms) in samples {
            let mut sample = Vec::new();
            put_double(&mut sample, 1, *value);
            put_int64(&mut sample, 2, *time_ms);
            put_bytes(&mut series, 2, &sample);
        }
        for (name, value) in labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut series, 1, &label);
        }
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &series);
        request
    }

    fn decoded(body: &[u8]) -> (String, WriteReport) {
        let mut batch = PointBatch::new();
        let report = decode_write(body, &mut batch).unwrap();
        (format!("{batch:?}"), report)
    }

    #[test]
    fn labels_become_measurement_and_tags() {
        let body = [
            time_series(&[("job", "a b"), (NAME_LABEL, "up"), ("empty", "")], &[(1.5, 1_000), (2.5, 2_000)]),
            time_series(&[("job", "x")], &[(3.0, -1)]),
            time_series(&[(NAME_LABEL, "m"), ("a", "first"), ("a", "last")], &[(4.0, 0)]),
        ]
        .concat();
        let (points, report) = decoded(&body);
        assert_eq!(
            points,
            "[up,__name__=up,job=a\\ b {\"value\": Float(1.5)} 1000000000, \
             up,__name__=up,job=a\\ b {\"value\": Float(2.5)} 2000000000, \
             prom_metric_not_specified,job=x {\"value\": Float(3.0)} -1000000, \
             m,__name__=m,a=last {\"value\": Float(4.0)} 0]"
        );
        assert_eq!(report, WriteReport::default());
    }

    #[test]
    fn what_cannot_be_stored_is_counted() {
        let samples = [(f64::NAN, 1), (f64::INFINITY, 2), (f64::NEG_INFINITY, 3), (1.0, i64::MAX), (2.0, 4)];
        let (points, report) = decoded(&time_series(&[(NAME_LABEL, "m")], &samples));
        assert_eq!(points, "[m,__name__=m {\"value\": Float(2.0)} 4000000]");
        assert_eq!((report.not_finite, report.refused), (3, 1));
        assert_eq!(report.reason, Some(PushError::TimeOutOfRange));
        let (_, report) = decoded(&time_series(&[(NAME_LABEL, "m"), ("a", "two\nlines")], &[(1.0, 1)]));
        assert_eq!(report.reason, Some(PushError::Unwritable));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let mut body = time_series(&[(NAME_LABEL, "m")], &[(1.0, 1)]);
        put_bytes(&mut body, 3, b"metadata");
        put_int64(&mut body, 17, 5);
        assert_eq!(decoded(&body).0, "[m,__name__=m {\"value\": Float(1.0)} 1000000]");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>(), cut in 0_usize..80) {
            drop(decode_write(&bytes, &mut PointBatch::new()));
            let mut body = time_series(&[(NAME_LABEL, "up"), ("job", "j")], &[(1.5, 1_000), (2.5, 2_000)]);
            body.truncate(cut);
            drop(decode_write(&body, &mut PointBatch::new()));
        }
    }
}
