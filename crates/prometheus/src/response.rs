//! The answer to a remote read, built series by series.
//!
//! ```text
//! ReadResponse { repeated QueryResult results = 1 }
//! QueryResult  { repeated TimeSeries timeseries = 1 }
//! ```

use crate::{
    NAME_LABEL,
    wire::{put_bytes, put_double, put_int64},
};

/// Labels of a series: name and value.
pub type Labels = [(std::sync::Arc<str>, std::sync::Arc<str>)];

/// An answer in the making.
#[derive(Debug, Default)]
pub struct ReadResponse {
    finished: Vec<u8>,
    result: Vec<u8>,
    series: Vec<u8>,
    sample: Vec<u8>,
    has_samples: bool,
}

impl ReadResponse {
    /// Begins a series; the one before it ends. A series that never had a name gets that of its measurement.
    pub fn begin_series(&mut self, measurement: &str, tags: &Labels) {
        self.end_series();
        let named = tags.iter().any(|(name, value)| **name == *NAME_LABEL && !value.is_empty());
        let mut labels: Vec<(&str, &str)> = tags
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        if !named {
            labels.push((NAME_LABEL, measurement));
            labels.sort_unstable();
        }
        for (name, value) in labels {
            let mut label = Vec::with_capacity(name.len() + value.len() + 8);
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut self.series, 1, &label);
        }
    }

    /// Adds a sample to the series.
    pub fn sample(&mut self, time_ns: i64, value: f64) {
        self.sample.clear();
        put_double(&mut self.sample, 1, value);
        put_int64(&mut self.sample, 2, time_ns.div_euclid(1_000_000));
        put_bytes(&mut self.series, 2, &self.sample);
        self.has_samples = true;
    }

    /// Ends the answer to one query.
    pub fn end_query(&mut self) {
        self.end_series();
        put_bytes(&mut self.finished, 1, &self.result);
        self.result.clear();
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.finished.capacity() + self.result.capacity() + self.series.capacity()
    }

    /// The message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.finished
    }

    /// A series without samples is none.
    fn end_series(&mut self) {
        if self.has_samples {
            put_bytes(&mut self.result, 1, &self.series);
        }
        self.series.clear();
        self.has_samples = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// As InfluxDB 1.6.7 answers for such points.
    #[test]
    fn bytes_as_influxdb() {
        let tags = |tags: &[(&str, &str)]| -> Vec<(Arc<str>, Arc<str>)> {
            tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
        };
        let mut response = ReadResponse::default();
        response.begin_series("up", &tags(&[("__name__", "up"), ("a", ""), ("job", "a b")]));
        response.sample(1_600_000_000_000_000_000, 1.5);
        response.sample(1_600_000_001_000_000_000, 2.5);
        response.begin_series("empty", &tags(&[("__name__", "empty")]));
        response.end_query();
        let expected =
            b"\nB\n@\n\x0e\n\x08__name__\x12\x02up\n\n\n\x03job\x12\x03a b\x12\x10\t\x00\x00\x00\x00\x00\x00\
            \xf8?\x10\x80\x80\xba\xbb\xc8.\x12\x10\t\x00\x00\x00\x00\x00\x00\x04@\x10\xe8\x87\xba\xbb\xc8.";
        assert_eq!(response.into_bytes(), expected);
        let mut nothing = ReadResponse::default();
        nothing.end_query();
        assert_eq!(nothing.into_bytes(), b"\n\x00");
    }

    #[test]
    fn a_series_without_a_name_gets_one() {
        let mut response = ReadResponse::default();
        response.begin_series("cpu", &[(Arc::from("Z"), Arc::from("1")), (Arc::from("a"), Arc::from("2"))]);
        response.sample(-1, 1.0);
        response.end_query();
        let bytes = response.into_bytes();
        let at = |wanted: &[u8]| bytes.windows(wanted.len()).position(|found| found == wanted).unwrap();
        assert!(at(b"Z") < at(b"__name__") && at(b"__name__") < at(b"\x01a"), "sorted by name");
    }
}
