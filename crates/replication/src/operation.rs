//! What is done to a shard: points written or cells deleted, with a version. Applying it twice, or in another order
//! among others, changes nothing. Layout in `docs/formats/operations.md`.

use std::sync::Arc;

use bytes::Bytes;
use skywatch_model::{FieldRef, TimeRange, Version, line::PointBatch};
use skywatch_storage::{
    Rule,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

const FORMAT: u8 = 1;
/// Where the kind is.
const KIND: usize = 1;
const WRITE: u8 = 1;
const DELETE: u8 = 2;
/// A write that waits for an owner, and that no owner had looked at when it was acknowledged. It travels as [`WRITE`].
const UNSEEN_WRITE: u8 = 3;

/// An operation on one shard, for whoever owns it.
#[derive(Debug)]
pub struct Operation {
    /// The shard's id.
    pub shard: u64,
    /// The times it is for: an owner that does not have it yet creates it for them.
    pub range: TimeRange,
    /// The shard's database: its limits count.
    pub database: Arc<str>,
    /// Orders it among all others.
    pub version: Version,
    /// What is done.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug)]
pub enum Action {
    /// Stores points.
    Write(Box<PointBatch<'static>>),
    /// Deletes cells of lower versions.
    Delete(Rule, TimeRange),
}

/// An operation as it travels and waits: its own bytes, and what is asked of it without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// See [`Operation::shard`].
    pub shard: u64,
    /// See [`Operation::version`].
    pub version: Version,
    /// Points, of a write.
    pub points: u64,
    /// What [`decode`] reads.
    pub bytes: Bytes,
}

impl Encoded {
    /// As it is kept for an owner where no owner could say whether it takes the points. See [`waiting`].
    pub(crate) fn unseen(&self) -> Self {
        let mut bytes = self.bytes.to_vec();
        if bytes[KIND] == WRITE {
            bytes[KIND] = UNSEEN_WRITE;
        }
        Self { bytes: bytes.into(), ..self.clone() }
    }
}

/// An operation that was kept for an owner, as it travels; and whether no owner had looked at it by then.
pub(crate) fn waiting(bytes: &Bytes) -> (Bytes, bool) {
    if bytes.get(KIND) != Some(&UNSEEN_WRITE) {
        return (bytes.clone(), false);
    }
    let mut travelling = bytes.to_vec();
    travelling[KIND] = WRITE;
    (travelling.into(), true)
}

/// Where an operation goes.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// See [`Operation::shard`].
    pub shard: u64,
    /// See [`Operation::range`].
    pub range: TimeRange,
    /// See [`Operation::database`].
    pub database: &'a str,
    /// See [`Operation::version`].
    pub version: Version,
}

impl Target<'_> {
    fn put(&self, kind: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&[FORMAT, kind]);
        put_varint(out, self.shard);
        put_signed(out, self.range.start);
        put_signed(out, self.range.end);
        put_bytes(out, self.database.as_bytes());
        out.extend_from_slice(&self.version.to_bytes());
    }

    fn encoded(&self, points: u64, bytes: Vec<u8>) -> Encoded {
        Encoded { shard: self.shard, version: self.version, points, bytes: bytes.into() }
    }

    /// The operation that stores `points` (positions in `batch`).
    pub fn write(&self, batch: &PointBatch<'_>, points: &[u32]) -> Encoded {
        let mut bytes = Vec::with_capacity(64 + points.len() * 64);
        self.put(WRITE, &mut bytes);
        put_points(batch, points, &mut bytes);
        self.encoded(points.len() as u64, bytes)
    }

    /// The operation that deletes what `rule` names in `times`.
    pub fn delete(&self, rule: &Rule, times: TimeRange) -> Encoded {
        let mut bytes = Vec::with_capacity(128);
        self.put(DELETE, &mut bytes);
        put_signed(&mut bytes, times.start);
        put_signed(&mut bytes, times.end);
        rule.encode(&mut bytes);
        self.encoded(0, bytes)
    }
}

/// Numbers things in the order in which they first come up.
struct Numbering {
    number: Vec<Option<u32>>,
    order: Vec<u32>,
}

impl Numbering {
    fn new(count: usize) -> Self {
        Self { number: vec![None; count], order: Vec::new() }
    }

    fn of(&mut self, ordinal: u32) -> u32 {
        *self.number[ordinal as usize].get_or_insert_with(|| {
            self.order.push(ordinal);
            self.order.len() as u32 - 1
        })
    }
}

fn put_points(batch: &PointBatch<'_>, points: &[u32], out: &mut Vec<u8>) {
    let mut series = Numbering::new(batch.series_count());
    let mut shapes = Numbering::new(batch.shape_count());
    let mut rows = Vec::with_capacity(points.len() * 48);
    let mut previous = 0i64;
    for point in points.iter().map(|point| batch.point(*point as usize)) {
        put_varint(&mut rows, u64::from(series.of(point.series_ordinal())));
        put_varint(&mut rows, u64::from(shapes.of(point.shape_ordinal())));
        put_signed(&mut rows, point.time().wrapping_sub(previous));
        previous = point.time();
        for value in point.values() {
            put_value(&mut rows, value);
        }
    }
    put_varint(out, series.order.len() as u64);
    for ordinal in series.order {
        put_bytes(out, batch.series_key(ordinal).as_bytes());
    }
    put_varint(out, shapes.order.len() as u64);
    for ordinal in shapes.order {
        let fields: Vec<_> = batch.shape(ordinal).fields().collect();
        put_varint(out, fields.len() as u64);
        for (name, field_type) in fields {
            put_bytes(out, name.as_bytes());
            out.push(field_type as u8);
        }
    }
    put_varint(out, points.len() as u64);
    out.extend_from_slice(&rows);
}

fn put_value(out: &mut Vec<u8>, value: FieldRef<'_>) {
    match value {
        FieldRef::Float(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        FieldRef::Integer(value) => put_signed(out, value),
        FieldRef::Unsigned(value) => put_varint(out, value),
        FieldRef::Boolean(value) => out.push(u8::from(value)),
        FieldRef::String(value) => put_bytes(out, value.as_bytes()),
    }
}

/// Reads an operation.
pub fn decode(bytes: &[u8]) -> Result<Operation, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != FORMAT {
        return Err(Malformed("operation of a later release"));
    }
    let kind = reader.u8()?;
    let shard = reader.varint()?;
    let range = take_range(&mut reader)?;
    let database = reader.str()?.into();
    let version = Version::from_bytes(reader.array()?);
    let action = match kind {
        WRITE => Action::Write(Box::new(take_points(&mut reader)?)),
        DELETE => {
            let times = take_range(&mut reader)?;
            Action::Delete(Rule::decode(&mut reader)?, times)
        }
        _ => return Err(Malformed("unknown kind of operation")),
    };
    reader.finish()?;
    Ok(Operation { shard, range, database, version, action })
}

/// Whether an operation deletes, without reading it.
pub(crate) fn is_delete(bytes: &[u8]) -> bool {
    bytes.get(KIND) == Some(&DELETE)
}

/// The shard and the version of an operation, without reading the rest.
pub fn peek(bytes: Bytes) -> Result<Encoded, Malformed> {
    let mut reader = Reader::new(&bytes);
    let _format_and_kind: [u8; 2] = reader.array()?;
    let shard = reader.varint()?;
    take_range(&mut reader)?;
    reader.bytes()?;
    let version = Version::from_bytes(reader.array()?);
    Ok(Encoded { shard, version, points: 0, bytes })
}

fn take_range(reader: &mut Reader<'_>) -> Result<TimeRange, Malformed> {
    Ok(TimeRange::new(reader.signed()?, reader.signed()?))
}

/// Field types by the number that stands for them.
const TYPES: [skywatch_model::FieldType; 5] = {
    use skywatch_model::FieldType::{Boolean, Float, Integer, String, Unsigned};
    [Float, Integer, Unsigned, String, Boolean]
};

fn take_points(reader: &mut Reader<'_>) -> Result<PointBatch<'static>, Malformed> {
    let series: Vec<&str> = take_list(reader, 1, Reader::str)?;
    let shapes: Vec<Vec<(&str, u8)>> =
        take_list(reader, 2, |reader| take_list(reader, 2, |reader| Ok((reader.str()?, reader.u8()?))))?;
    let count = reader.count(4)?;
    let mut batch = PointBatch::new();
    let mut fields: Vec<(&str, FieldRef<'_>)> = Vec::new();
    let mut time = 0i64;
    for _ in 0..count {
        let key = series.get(reader.varint()? as usize).ok_or(Malformed("series without a key"))?;
        let shape = shapes.get(reader.varint()? as usize).ok_or(Malformed("point without fields"))?;
        time = time.wrapping_add(reader.signed()?);
        fields.clear();
        for (name, field_type) in shape {
            fields.push((name, take_value(reader, *field_type)?));
        }
        batch
            .push(key, time, fields.iter().copied())
            .map_err(|_| Malformed("a point that no line of protocol gives"))?;
    }
    Ok(batch)
}

fn take_list<'a, T>(
    reader: &mut Reader<'a>,
    bytes_each: usize,
    mut take: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.count(bytes_each)?;
    (0..count).map(|_| take(reader)).collect()
}

fn take_value<'a>(reader: &mut Reader<'a>, field_type: u8) -> Result<FieldRef<'a>, Malformed> {
    use skywatch_model::FieldType;
    let known = TYPES.iter().find(|known| **known as u8 == field_type);
    Ok(match known.ok_or(Malformed("unknown type of a field"))? {
        FieldType::Float => FieldRef::Float(f64::from_bits(reader.u64()?)),
        FieldType::Integer => FieldRef::Integer(reader.signed()?),
        FieldType::Unsigned => FieldRef::Unsigned(reader.varint()?),
        FieldType::Boolean => FieldRef::Boolean(reader.u8()? != 0),
        FieldType::String => FieldRef::String(reader.str()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use skywatch_model::line::{ParseOptions, Precision, parse};
    use skywatch_storage::TagPredicate;

    use super::*;

    fn target() -> Target<'static> {
        let version = Version::from_parts(1_700_000_000_000, 7, 3);
        Target { shard: 12, range: TimeRange::new(-5, 1_000_000), database: "db", version }
    }

    fn lines(batch: &PointBatch<'_>, points: impl IntoIterator<Item = u32>) -> Vec<String> {
        let line = |point| {
            let mut line = String::new();
            batch.point(point as usize).append_line(&mut line);
            line
        };
        points.into_iter().map(line).collect()
    }

    fn batch(body: &str) -> PointBatch<'_> {
        let mut batch = PointBatch::new();
        let options = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 9 };
        assert_eq!(parse(body.as_bytes(), options, &mut batch), vec![]);
        batch
    }

    #[test]
    fn a_write_arrives_as_it_was_sent() {
        let body = "cpu,host=a\\ b,dc=x u=1.5,i=-3i,n=7u,s=\"a\nb\",b=t 10\n\
            mem v=1i\ncpu,dc=x,host=a\\ b u=2,i=4i,n=8u,s=\"\",b=f 8\ncpu,host=c u=-0.0 11";
        let batch = batch(body);
        let encoded = target().write(&batch, &[0, 2, 3]);
        assert_eq!((encoded.shard, encoded.points), (12, 3));
        let operation = decode(&encoded.bytes).expect("what was encoded");
        assert_eq!((operation.shard, &*operation.database), (12, "db"));
        assert_eq!((operation.range, operation.version), (target().range, target().version));
        let Action::Write(got) = &operation.action else { panic!("{operation:?}") };
        assert_eq!(lines(got, 0..3), lines(&batch, [0, 2, 3]));
        let peeked = peek(encoded.bytes).expect("what was encoded");
        assert_eq!((peeked.shard, peeked.version), (12, target().version));
    }

    #[test]
    fn a_delete_arrives_as_it_was_sent() {
        let predicate = TagPredicate::Equal { key: "host".into(), value: "a".into() };
        let rule = Rule { measurements: vec!["cpu".into(), "mem".into()], predicate };
        let encoded = target().delete(&rule, TimeRange::new(3, 9));
        let operation = decode(&encoded.bytes).expect("what was encoded");
        let Action::Delete(got, times) = operation.action else { panic!("no delete") };
        assert_eq!((got.measurements, times), (rule.measurements, TimeRange::new(3, 9)));
        assert!(matches!(got.predicate, TagPredicate::Equal { key, .. } if &*key == "host"));
    }

    proptest! {
        #[test]
        fn damaged_operations_are_refused_or_read_and_never_panic(
            place in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()
        ) {
            let batch = batch("m,t=a v=1,w=\"x\" 1\nm,t=b v=2 2\nm,t=a v=3i 3");
            let mut bytes = target().write(&batch, &[0, 1]).bytes.to_vec();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            drop(decode(&bytes));
            drop(peek(bytes.into()));
        }
    }
}
