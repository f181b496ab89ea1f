//! What travels: questions and answers as JSON, keys, rows and statistics as compressed bytes. See `docs/formats/reads.md`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skywatch_model::{Bitmap, Column, FieldType, FieldValue, RowBlock, TimeRange, Values};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{
    RegularWindows, Sum, WantedStats, WindowStats,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Which measurements a shard has, or what one of them has.
pub(crate) const SCHEMA: &str = "read.schema";
/// Keys of the series of a measurement.
pub(crate) const SERIES: &str = "read.series";
/// Rows or statistics of series.
pub(crate) const SCAN: &str = "read.scan";

/// Bytes of an answer before compression, at most and about.
pub(crate) const PAGE_BYTES: usize = 8 << 20;
/// As many bytes are unpacked at most: a page, and the block that made it full.
const UNPACKED_BYTES_MAX: usize = 256 << 20;
/// Fast, and small enough for a local network.
const LEVEL: i32 = 1;

/// Question of [`SCHEMA`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SchemaQuestion {
    pub(crate) shard: u64,
    /// Without, all measurements are told.
    #[serde(default)]
    pub(crate) measurement: Option<String>,
}

/// Answer of [`SCHEMA`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SchemaAnswer {
    #[serde(default)]
    pub(crate) measurements: Vec<String>,
    /// With the number of the type.
    #[serde(default)]
    pub(crate) fields: Vec<(String, u8)>,
    #[serde(default)]
    pub(crate) tag_keys: Vec<String>,
}

/// Question of [`SERIES`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeriesQuestion {
    pub(crate) shard: u64,
    pub(crate) measurement: String,
    /// Only keys that come after this one.
    #[serde(default)]
    pub(crate) after: Option<String>,
}

/// Answer of [`SERIES`]; the keys are in the body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeriesAnswer {
    pub(crate) more: bool,
}

/// Question of [`SCAN`]; the keys of the series are in the body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScanQuestion {
    pub(crate) shard: u64,
    pub(crate) measurement: String,
    pub(crate) fields: Vec<String>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    #[serde(default)]
    pub(crate) descending: bool,
    /// Rows of each series after which it is left for another question.
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) summary: Option<SummaryQuestion>,
}

/// Statistics in the place of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SummaryQuestion {
    /// Length and a start of windows; without, all is one.
    #[serde(default)]
    pub(crate) windows: Option<(i64, i64)>,
    /// For each field, bits of what is wanted: sum, min, max, first, last.
    pub(crate) wanted: Vec<u8>,
}

impl SummaryQuestion {
    pub(crate) fn regular(&self) -> Option<RegularWindows> {
        self.windows.map(|(every, offset)| RegularWindows { every, offset })
    }
}

/// Bits of what is wanted.
pub(crate) fn bits_of(wanted: WantedStats) -> u8 {
    let flags = [wanted.sum, wanted.min, wanted.max, wanted.first, wanted.last];
    flags.iter().enumerate().fold(0, |bits, (place, set)| bits | u8::from(*set) << place)
}

/// What the bits say.
pub(crate) const fn wanted_of(bits: u8) -> WantedStats {
    WantedStats {
        sum: bits & 1 != 0,
        min: bits & 2 != 0,
        max: bits & 4 != 0,
        first: bits & 8 != 0,
        last: bits & 16 != 0,
    }
}

/// Compresses a body.
pub(crate) fn pack(bytes: &[u8]) -> Result<bytes::Bytes, Failure> {
    let mut out = Vec::with_capacity(8 + bytes.len() / 4);
    put_varint(&mut out, bytes.len() as u64);
    out.extend(zstd::bulk::compress(bytes, LEVEL).map_err(Failure::internal)?);
    Ok(out.into())
}

/// Reads what [`pack`] wrote.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(packed);
    let len = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if len > UNPACKED_BYTES_MAX {
        return Err(Malformed("a page that is too large"));
    }
    let bytes = reader.take(reader.remaining())?;
    let unpacked = zstd::bulk::decompress(bytes, len).map_err(|_| Malformed("damaged compression"))?;
    if unpacked.len() == len { Ok(unpacked) } else { Err(Malformed("a page of another length")) }
}

/// A body that cannot be read, said to whoever sent it.
pub(crate) fn refusal(malformed: Malformed) -> Failure {
    Failure::new(FailureKind::Invalid, format!("the body cannot be read: {}", malformed.0))
}

/// Appends texts.
pub(crate) fn put_texts<'a>(out: &mut Vec<u8>, texts: impl ExactSizeIterator<Item = &'a str>) {
    put_varint(out, texts.len() as u64);
    texts.for_each(|text| put_bytes(out, text.as_bytes()));
}

/// Reads what [`put_texts`] wrote.
pub(crate) fn take_texts<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>, Malformed> {
    let count = reader.count(1)?;
    (0..count).map(|_| reader.str()).collect()
}

/// The type with this number.
pub(crate) fn type_of(number: u8) -> Result<FieldType, Malformed> {
    let types =
        [FieldType::Float, FieldType::Integer, FieldType::Unsigned, FieldType::String, FieldType::Boolean];
    let known = types.into_iter().find(|known| *known as u8 == number);
    known.ok_or(Malformed("unknown type of a field"))
}

/// Appends rows.
pub(crate) fn put_rows(out: &mut Vec<u8>, rows: &RowBlock) {
    put_varint(out, rows.times.len() as u64);
    let (mut previous, mut step) = (0i64, 0i64);
    for time in &rows.times {
        let now = time.wrapping_sub(previous);
        put_signed(out, now.wrapping_sub(step));
        (previous, step) = (*time, now);
    }
    for column in &rows.columns {
        let Some(column) = column else {
            out.push(0);
            continue;
        };
        out.push(1 + column.values.field_type() as u8 + if column.valid.is_some() { 8 } else { 0 });
        if let Some(valid) = &column.valid {
            valid.words().iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
        put_values(out, &column.values);
    }
}

fn put_values(out: &mut Vec<u8>, values: &Values) {
    match values {
        Values::Float(values) => values.iter().for_each(|value| out.extend(value.to_bits().to_le_bytes())),
        Values::Integer(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Values::Unsigned(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Values::String(values) => values.iter().for_each(|value| put_bytes(out, value.as_bytes())),
        Values::Boolean(values) => values.iter().for_each(|value| out.push(u8::from(*value))),
    }
}

/// Reads what [`put_rows`] wrote, of so many fields.
pub(crate) fn take_rows(reader: &mut Reader<'_>, fields: usize) -> Result<RowBlock, Malformed> {
    let count = reader.count(1)?;
    let (mut previous, mut step) = (0i64, 0i64);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        step = step.wrapping_add(reader.signed()?);
        previous = previous.wrapping_add(step);
        times.push(previous);
    }
    if !times.is_sorted_by(|a, b| a < b) {
        return Err(Malformed("rows that are not in order"));
    }
    let mut columns = Vec::with_capacity(fields);
    for _ in 0..fields {
        let kind = reader.u8()?;
        columns.push(if kind == 0 { None } else { Some(take_column(reader, kind, count)?) });
    }
    Ok(RowBlock { times, columns })
}

fn take_column(reader: &mut Reader<'_>, kind: u8, count: usize) -> Result<Column, Malformed> {
    let has_nulls = kind > 8;
    let field_type = type_of(if has_nulls { kind - 9 } else { kind - 1 })?;
    let valid = match has_nulls {
        false => None,
        true => {
            let words = (0..count.div_ceil(64)).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
            let mut valid = Bitmap::default();
            (0..count).for_each(|row| valid.push(words[row / 64] >> (row % 64) & 1 == 1));
            Some(valid)
        }
    };
    let word = |reader: &mut Reader<'_>| reader.u64();
    let values = match field_type {
        FieldType::Float => {
            let words = (0..count).map(|_| word(reader)).collect::<Result<Vec<_>, _>>()?;
            Values::Float(words.into_iter().map(f64::from_bits).collect())
        }
        FieldType::Integer => {
            let words = (0..count).map(|_| word(reader)).collect::<Result<Vec<_>, _>>()?;
            Values::Integer(words.into_iter().map(|word| word as i64).collect())
        }
        FieldType::Unsigned => Values::Unsigned((0..count).map(|_| word(reader)).collect::<Result<_, _>>()?),
        FieldType::String => {
            Values::String((0..count).map(|_| reader.str().map(Arc::from)).collect::<Result<_, _>>()?)
        }
        FieldType::Boolean => {
            Values::Boolean((0..count).map(|_| reader.u8().map(|bit| bit != 0)).collect::<Result<_, _>>()?)
        }
    };
    Ok(Column { values, valid })
}

/// Appends one field's statistics by windows, column by column.
pub(crate) fn put_summary(out: &mut Vec<u8>, windows: &[WindowStats], wanted: WantedStats) {
    put_varint(out, windows.len() as u64);
    let Some(first) = windows.first() else { return };
    out.push(first.field_type as u8);
    let mut previous = 0i64;
    for window in windows {
        put_signed(out, window.times.start.wrapping_sub(previous));
        put_varint(out, window.times.end.abs_diff(window.times.start));
        previous = window.times.start;
    }
    windows.iter().for_each(|window| put_varint(out, window.count));
    if wanted.sum {
        let word = |sum: &Sum| match sum {
            Sum::Float(sum) => sum.to_bits(),
            Sum::Integer(sum) => *sum as u64,
            Sum::Unsigned(sum) => *sum,
            Sum::None => 0,
        };
        windows.iter().for_each(|window| out.extend(word(&window.sum).to_le_bytes()));
    }
    for (is_wanted, of) in points(wanted) {
        if is_wanted {
            for window in windows {
                put_point(out, window, of(window).as_ref());
            }
        }
    }
}

type PlaceOf = fn(&mut WindowStats) -> &mut Option<(i64, FieldValue)>;
type PointOf = fn(&WindowStats) -> &Option<(i64, FieldValue)>;

fn points(wanted: WantedStats) -> [(bool, PointOf); 4] {
    [
        (wanted.min, |window| &window.min),
        (wanted.max, |window| &window.max),
        (wanted.first, |window| &window.first),
        (wanted.last, |window| &window.last),
    ]
}

fn put_point(out: &mut Vec<u8>, window: &WindowStats, point: Option<&(i64, FieldValue)>) {
    let Some((time, value)) = point else { return out.push(0) };
    out.push(1);
    put_signed(out, time.wrapping_sub(window.times.start));
    match value {
        FieldValue::Float(value) => out.extend(value.to_bits().to_le_bytes()),
        FieldValue::Integer(value) => out.extend(value.to_le_bytes()),
        FieldValue::Unsigned(value) => out.extend(value.to_le_bytes()),
        FieldValue::String(value) => put_bytes(out, value.as_bytes()),
        FieldValue::Boolean(value) => out.push(u8::from(*value)),
    }
}

fn take_point(
    reader: &mut Reader<'_>,
    field_type: FieldType,
    start: i64,
) -> Result<Option<(i64, FieldValue)>, Malformed> {
    if reader.u8()? == 0 {
        return Ok(None);
    }
    let time = start.wrapping_add(reader.signed()?);
    let value = match field_type {
        FieldType::Float => FieldValue::Float(f64::from_bits(reader.u64()?)),
        FieldType::Integer => FieldValue::Integer(reader.u64()? as i64),
        FieldType::Unsigned => FieldValue::Unsigned(reader.u64()?),
        FieldType::String => FieldValue::String(reader.str()?.into()),
        FieldType::Boolean => FieldValue::Boolean(reader.u8()? != 0),
    };
    Ok(Some((time, value)))
}

/// Reads what [`put_summary`] wrote.
pub(crate) fn take_summary(
    reader: &mut Reader<'_>,
    wanted: WantedStats,
) -> Result<Vec<WindowStats>, Malformed> {
    let count = reader.count(3)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let field_type = type_of(reader.u8()?)?;
    let mut windows: Vec<WindowStats> = Vec::with_capacity(count);
    let mut previous = 0i64;
    for _ in 0..count {
        previous = previous.wrapping_add(reader.signed()?);
        let end = previous.checked_add_unsigned(reader.varint()?).ok_or(Malformed("time overflows"))?;
        let times = TimeRange::new(previous, end);
        let (min, max, first, last) = (None, None, None, None);
        windows.push(WindowStats { times, field_type, count: 0, sum: Sum::None, min, max, first, last });
    }
    if !windows.is_sorted_by(|a, b| a.times.end < b.times.start) {
        return Err(Malformed("windows that are not in order"));
    }
    for window in &mut windows {
        window.count = reader.varint()?;
    }
    if wanted.sum {
        for window in &mut windows {
            let word = reader.u64()?;
            window.sum = match field_type {
                FieldType::Float => Sum::Float(f64::from_bits(word)),
                FieldType::Integer => Sum::Integer(word as i64),
                FieldType::Unsigned => Sum::Unsigned(word),
                FieldType::String | FieldType::Boolean => Sum::None,
            };
        }
    }
    let places: [(bool, PlaceOf); 4] = [
        (wanted.min, |window| &mut window.min),
        (wanted.max, |window| &mut window.max),
        (wanted.first, |window| &mut window.first),
        (wanted.last, |window| &mut window.last),
    ];
    for (is_wanted, place) in places {
        if is_wanted {
            for window in &mut windows {
                let point = take_point(reader, field_type, window.times.start)?;
                *place(window) = point;
            }
        }
    }
    Ok(windows)
}
