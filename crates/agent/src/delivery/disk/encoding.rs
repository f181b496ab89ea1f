//! Metrics as bytes: what a frame of the buffer says. `docs/formats/agent-buffer.md` draws it.
//!
//! Names, tag values and field names repeat from metric to metric, hence each is written once in a frame and
//! referred to by its number afterwards. A frame needs no other to be read.

use std::collections::HashMap;
use std::sync::Arc;

use skywatch_model::FieldValue;
use skywatch_storage::wire::{Malformed, Reader, put_bytes, put_signed, put_varint};

use crate::metric::{Kind, Metric, Value};

const VERSION: u8 = 1;
/// version 1, first 8, count 4.
const HEAD_LEN: usize = 13;
/// A frame is closed when it is about so large, so that damage costs little and reading takes little memory.
const BODY_BYTES: usize = 64 * 1024;
/// Most metrics in a frame.
const METRICS_MAX: usize = 512;

const FLOAT: u8 = 0;
const INTEGER: u8 = 1;
const UNSIGNED: u8 = 2;
const STRING: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;

/// Appends as many of `metrics` as one frame takes, one at least; the first has the number `first`. Returns how many.
pub(super) fn encode(out: &mut Vec<u8>, first: u64, metrics: &[Arc<Metric>]) -> usize {
    let start = out.len();
    out.push(VERSION);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let mut writer = Writer { out, texts: HashMap::new(), time_before: 0 };
    let mut count = 0;
    for metric in metrics.iter().take(METRICS_MAX) {
        writer.metric(metric);
        count += 1;
        if writer.out.len() - start >= BODY_BYTES {
            break;
        }
    }
    out[start + 9..start + HEAD_LEN].copy_from_slice(&(count as u32).to_le_bytes());
    count
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    texts: HashMap<&'a str, u64>,
    time_before: i64,
}

impl<'a> Writer<'a> {
    fn metric(&mut self, metric: &'a Metric) {
        self.text(&metric.name);
        self.out.push(kind_byte(metric.kind));
        put_signed(self.out, metric.time_ns.wrapping_sub(self.time_before));
        self.time_before = metric.time_ns;
        put_varint(self.out, metric.tags().len() as u64);
        for (key, value) in metric.tags() {
            self.text(key);
            self.text(value);
        }
        put_varint(self.out, metric.fields().len() as u64);
        for (key, value) in metric.fields() {
            self.text(key);
            self.value(value);
        }
    }

    /// A text's number if the frame has it already, else 0 and the text.
    fn text(&mut self, text: &'a str) {
        if let Some(&number) = self.texts.get(text) {
            return put_varint(self.out, number);
        }
        put_varint(self.out, 0);
        put_bytes(self.out, text.as_bytes());
        self.texts.insert(text, self.texts.len() as u64 + 1);
    }

    fn value(&mut self, value: &FieldValue) {
        match value {
            FieldValue::Float(v) => {
                self.out.push(FLOAT);
                self.out.extend_from_slice(&v.to_bits().to_le_bytes());
            }
            FieldValue::Integer(v) => {
                self.out.push(INTEGER);
                put_signed(self.out, *v);
            }
            FieldValue::Unsigned(v) => {
                self.out.push(UNSIGNED);
                put_varint(self.out, *v);
            }
            FieldValue::String(v) => {
                self.out.push(STRING);
                put_bytes(self.out, v.as_bytes());
            }
            FieldValue::Boolean(v) => self.out.push(if *v { TRUE } else { FALSE }),
        }
    }
}

/// What a frame holds.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    /// The number of its first metric; the others follow on.
    pub(super) first: u64,
    pub(super) metrics: Vec<Metric>,
}

/// Number of the first metric, and how many there are, without reading them.
pub(super) fn head(body: &[u8]) -> Result<(u64, u32), Malformed> {
    let mut reader = Reader::new(body);
    if reader.u8()? != VERSION {
        return Err(Malformed("written by a later version"));
    }
    Ok((reader.u64()?, reader.u32()?))
}

/// Reads a frame back.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, Malformed> {
    let (first, count) = head(body)?;
    let mut parts = Parts { reader: Reader::new(&body[HEAD_LEN..]), texts: Vec::new(), time_before: 0 };
    let mut metrics = Vec::with_capacity((count as usize).min(METRICS_MAX));
    for _ in 0..count {
        metrics.push(parts.metric()?);
    }
    parts.reader.finish()?;
    Ok(Decoded { first, metrics })
}

struct Parts<'a> {
    reader: Reader<'a>,
    texts: Vec<&'a str>,
    time_before: i64,
}

impl<'a> Parts<'a> {
    fn metric(&mut self) -> Result<Metric, Malformed> {
        let name = self.text()?.to_owned();
        let kind = kind_of(self.reader.u8()?)?;
        let time = self.time_before.wrapping_add(self.reader.signed()?);
        self.time_before = time;
        let mut metric = Metric::new(name, time).kind(kind);
        for _ in 0..self.reader.count(2)? {
            let key = self.text()?.to_owned();
            metric.set_tag(key, self.text()?);
        }
        for _ in 0..self.reader.count(2)? {
            let key = self.text()?.to_owned();
            metric.set_field(key, Value(self.value()?));
        }
        Ok(metric)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let number = self.reader.varint()?;
        let Some(index) = number.checked_sub(1) else {
            let text = self.reader.str()?;
            self.texts.push(text);
            return Ok(text);
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.texts.get(index).copied().ok_or(Malformed("a text that was not written"))
    }

    fn value(&mut self) -> Result<FieldValue, Malformed> {
        Ok(match self.reader.u8()? {
            FLOAT => FieldValue::Float(f64::from_bits(self.reader.u64()?)),
            INTEGER => FieldValue::Integer(self.reader.signed()?),
            UNSIGNED => FieldValue::Unsigned(self.reader.varint()?),
            STRING => FieldValue::String(Arc::from(self.reader.str()?)),
            FALSE => FieldValue::Boolean(false),
            TRUE => FieldValue::Boolean(true),
            _ => return Err(Malformed("no type of a field")),
        })
    }
}

const fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Untyped => 0,
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::Summary => 4,
    }
}

const fn kind_of(byte: u8) -> Result<Kind, Malformed> {
    Ok(match byte {
        0 => Kind::Untyped,
        1 => Kind::Counter,
        2 => Kind::Gauge,
        3 => Kind::Histogram,
        4 => Kind::Summary,
        _ => return Err(Malformed("no kind of a metric")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every_type() -> Vec<Arc<Metric>> {
        let first = Metric::new("cpu", 1_500_000_000_000_000_000)
            .kind(Kind::Gauge)
            .tag("cpu", "cpu0")
            .tag("host", "h1")
            .field("usage_idle", 99.5)
            .field("count", -3_i64)
            .field("big", u64::MAX)
            .field("up", true)
            .field("down", false)
            .field("text", "a \"b\"\n");
        let second =
            Metric::new("cpu", 1_500_000_000_000_000_001).tag("host", "h1").field("usage_idle", f64::NAN);
        let third = Metric::new("x", i64::MIN).kind(Kind::Counter).field("cpu", "");
        vec![Arc::new(first), Arc::new(second), Arc::new(third)]
    }

    fn bytes(metrics: &[Arc<Metric>]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, 7, metrics), metrics.len());
        out
    }

    /// What was written by version 1 must be read for ever: change the version, never this test.
    #[test]
    fn the_bytes_are_those_of_version_1() {
        let golden = include_bytes!("../../../fixtures/buffer/v1.frame");
        assert_eq!(
            bytes(&every_type()),
            golden,
            "the encoding changed: raise VERSION and keep reading the old one"
        );
        let decoded = decode(golden).expect("readable");
        assert_eq!(decoded.first, 7);
        assert_eq!(
            format!("{:?}", decoded.metrics),
            format!("{:?}", every_type().iter().map(|m| m.as_ref().clone()).collect::<Vec<_>>())
        );
    }

    #[test]
    fn a_frame_takes_so_much_and_no_more() {
        let many: Vec<_> = (0..2000).map(|n| Arc::new(Metric::new("m", n).field("v", n))).collect();
        assert_eq!(encode(&mut Vec::new(), 0, &many), METRICS_MAX);
        let large: Vec<_> =
            (0..10).map(|n| Arc::new(Metric::new("m", n).field("v", "x".repeat(30_000)))).collect();
        assert_eq!(encode(&mut Vec::new(), 0, &large), 3);
        let huge = [Arc::new(Metric::new("m", 1).field("v", "x".repeat(300_000)))];
        assert_eq!(encode(&mut Vec::new(), 0, &huge), 1, "one at least");
    }

    #[test]
    fn a_later_version_is_told_apart() {
        let mut bytes = bytes(&every_type());
        bytes[0] = 2;
        assert_eq!(decode(&bytes), Err(Malformed("written by a later version")));
    }

    #[test]
    fn damage_never_panics() {
        let whole = bytes(&every_type());
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_err(), "cut at {len}");
        }
        for index in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[index] ^= flip;
                drop(decode(&bytes));
            }
        }
    }

    fn value() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            any::<u64>().prop_map(|bits| FieldValue::Float(f64::from_bits(bits))),
            any::<i64>().prop_map(FieldValue::Integer),
            any::<u64>().prop_map(FieldValue::Unsigned),
            any::<bool>().prop_map(FieldValue::Boolean),
            ".{0,20}".prop_map(|text| FieldValue::String(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            metrics in prop::collection::vec(
                (".{0,8}", any::<i64>(), prop::collection::vec((".{0,4}", ".{0,4}"), 0..4), prop::collection::vec((".{0,4}", value()), 0..5)),
                1..20,
            ),
            first in any::<u64>(),
        ) {
            let metrics: Vec<_> = metrics.into_iter().map(|(name, time, tags, fields)| {
                let metric = Metric::new(name, time);
                let metric = tags.into_iter().fold(metric, |m, (key, value)| m.tag(key, value));
                Arc::new(fields.into_iter().fold(metric, |m, (key, value)| m.field(key, value)))
            }).collect();
            let mut out = Vec::new();
            prop_assert_eq!(encode(&mut out, first, &metrics), metrics.len());
            let decoded = decode(&out).expect("readable");
            prop_assert_eq!(decoded.first, first);
            // By their text, in which a NaN equals itself.
            let written: Vec<_> = metrics.iter().map(|m| m.as_ref().clone()).collect();
            prop_assert_eq!(format!("{:?}", decoded.metrics), format!("{:?}", written));
        }

        #[test]
        fn any_bytes_are_an_error_or_metrics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = vec![VERSION];
            framed.extend(bytes);
            drop(decode(&framed));
        }
    }
}
