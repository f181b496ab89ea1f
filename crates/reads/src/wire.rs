//! What travels: questions and answers as JSON, keys, rows and statistics as compressed bytes. See `docs/formats/reads.md`.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use skywatch_model::{Bitmap, Column, FieldType, RowBlock, Values};
use skywatch_rpc::{Failure, FailureKind};
use skywatch_storage::{
    RegularWindows, ScanCost, WantedStats,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

/// Which measurements a shard has, or what one of them has.
pub(crate) const SCHEMA: &str = "read.schema";
/// Keys of the series of a measurement.
pub(crate) const SERIES: &str = "read.series";
/// Rows or statistics of series.
pub(crate) const SCAN: &str = "read.scan";

/// What reading series would read.
pub(crate) const COST: &str = "read.cost";

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
    /// What stands for the series of the shard: whoever remembers them under it need not ask for them.
    #[serde(default)]
    pub(crate) stamp: Option<[u64; 3]>,
}

/// Question of [`SERIES`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeriesQuestion {
    pub(crate) shard: u64,
    pub(crate) measurement: String,
    /// Only keys that come after this one.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// Only series that satisfy this, see [`predicate`](crate::predicate). A node that does not know of it tells all.
    #[serde(default)]
    pub(crate) predicate: Vec<u8>,
    /// What stands for the series that are remembered as the answer.
    #[serde(default)]
    pub(crate) remembered: Option<[u64; 3]>,
}

/// Answer of [`SERIES`]; the keys are in the body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeriesAnswer {
    pub(crate) more: bool,
    /// What stands for them.
    #[serde(default)]
    pub(crate) stamp: Option<[u64; 3]>,
    /// They are those that are remembered; the body tells none.
    #[serde(default)]
    pub(crate) unchanged: bool,
}

/// Question of [`COST`]; the keys of the series are in the body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CostQuestion {
    pub(crate) shard: u64,
    pub(crate) measurement: String,
    pub(crate) fields: Vec<String>,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// Answer of [`COST`]: one for each series.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CostAnswer {
    pub(crate) costs: Vec<SeriesCost>,
}

/// A [`ScanCost`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SeriesCost {
    cached_values: u64,
    segments: BTreeSet<u64>,
    blocks: u64,
    block_bytes: u64,
}

impl From<ScanCost> for SeriesCost {
    fn from(ScanCost { cached_values, segments, blocks, block_bytes }: ScanCost) -> Self {
        Self { cached_values, segments, blocks, block_bytes }
    }
}

impl From<SeriesCost> for ScanCost {
    fn from(SeriesCost { cached_values, segments, blocks, block_bytes }: SeriesCost) -> Self {
        Self { cached_values, segments, blocks, block_bytes }
    }
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
    #[serde(default)]
    pub(crate) condition: Option<ConditionQuestion>,
    #[serde(default)]
    pub(crate) selection: Option<SelectionQuestion>,
}

/// Only rows that satisfy a condition. A node that does not know of it sends them all, which its answer tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConditionQuestion {
    /// A [`RowFilter`](skywatch_query::RowFilter) over the fields.
    pub(crate) rows: Vec<u8>,
    /// Statistics of these rows in their place.
    #[serde(default)]
    pub(crate) summary: Option<SummaryQuestion>,
}

/// Only rows that satisfy a condition of their series, or statistics in the order of the scan. A node that does not know of it
/// sends all rows, which its answer tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SelectionQuestion {
    /// What [`put_conditions`] wrote, packed; nothing if all rows count.
    #[serde(default)]
    pub(crate) conditions: Vec<u8>,
    /// Statistics of the rows that count in their place.
    #[serde(default)]
    pub(crate) summary: Option<SummaryQuestion>,
}

/// Answer of [`SCAN`] where there is a condition or a selection; null where there is none.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ScanAnswer {
    /// So many of the series are in the body, beginning with the first: reading the others is for another call.
    pub(crate) series: u64,
}

/// Statistics in the place of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SummaryQuestion {
    /// Length and a start of windows; without, all is one.
    #[serde(default)]
    pub(crate) windows: Option<(i64, i64)>,
    /// For each field, bits of what is wanted: sum, min, max, first, last, and that extremes need no times.
    pub(crate) wanted: Vec<u8>,
    /// Times and counts that are those of the field before need not be told again.
    #[serde(default)]
    pub(crate) repeats: bool,
    /// Integers may take as many bytes as they need.
    #[serde(default)]
    pub(crate) short: bool,
}

impl SummaryQuestion {
    pub(crate) fn regular(&self) -> Option<RegularWindows> {
        self.windows.map(|(every, offset)| RegularWindows { every, offset })
    }
}

/// Bits of what is wanted.
pub(crate) fn bits_of(wanted: WantedStats) -> u8 {
    let flags = [wanted.sum, wanted.min, wanted.max, wanted.first, wanted.last, wanted.untimed];
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
        untimed: bits & 32 != 0,
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

/// Appends conditions, and for each of some series which of them is its own.
pub(crate) fn put_conditions(out: &mut Vec<u8>, all: &[&[u8]], of: &[Option<usize>]) {
    put_varint(out, all.len() as u64);
    all.iter().for_each(|condition| put_bytes(out, condition));
    of.iter().for_each(|place| put_varint(out, place.map_or(0, |place| place as u64 + 1)));
}

/// Conditions, and which of them each series has.
type ConditionsOf<'a> = (Vec<&'a [u8]>, Vec<Option<usize>>);

/// Reads what [`put_conditions`] wrote of so many series.
pub(crate) fn take_conditions<'a>(
    reader: &mut Reader<'a>,
    series: usize,
) -> Result<ConditionsOf<'a>, Malformed> {
    let count = reader.count(1)?;
    let all = (0..count).map(|_| reader.bytes()).collect::<Result<_, _>>()?;
    let mut place = || match usize::try_from(reader.varint()?).unwrap_or(usize::MAX) {
        0 => Ok(None),
        place if place <= count => Ok(Some(place - 1)),
        _ => Err(Malformed("a condition that is not there")),
    };
    let of = (0..series).map(|_| place()).collect::<Result<_, _>>()?;
    reader.finish().map(|()| (all, of))
}

/// The type with this number.
pub(crate) fn type_of(number: u8) -> Result<FieldType, Malformed> {
    FieldType::numbered(number).ok_or(Malformed("unknown type of a field"))
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
