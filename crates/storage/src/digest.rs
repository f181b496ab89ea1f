//! What a shard holds, in a few numbers: owners whose digests are equal hold the same cells and the same deletes.
//!
//! A cell is counted as it *wins*: its value and version after everything that was written has been merged and all
//! deletes applied. What lost is not counted, since one owner may have forgotten it in a merge of its files while another
//! still has it. Sums of hashes do not depend on the order, nor on the files and memtables the cells are in.
//!
//! ```text
//! digest of a shard   = deletes, and for each bucket of time: sum, cells
//! bucket of time      = 2^40 ns (18 minutes), counted from 1970
//! class of a series   = 5 bits of the hash of its key: a bucket of time is told apart further by these
//! ```

use std::{collections::BTreeMap, sync::Arc};

use skywatch_model::{Column, FieldType, TimeRange, Values, Version};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128, xxh3_128_with_seed};

use crate::{
    merge::Rows,
    wire::{Malformed, Reader, put_signed, put_varint},
};

/// The width of a bucket of time, as a power of two of nanoseconds.
const BUCKET_SHIFT: u32 = 40;
/// Classes of series.
pub const SERIES_CLASSES: usize = 32;

/// A sum of hashes, and how many there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// Wrapped around.
    pub sum: u128,
    /// Cells, or deletes.
    pub count: u64,
}

impl Digest {
    fn add_hash(&mut self, hash: u128) {
        self.sum = self.sum.wrapping_add(hash);
        self.count += 1;
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sum.to_le_bytes());
        put_varint(out, self.count);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { sum: u128::from_le_bytes(reader.array()?), count: reader.varint()? })
    }
}

impl std::ops::AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count += other.count;
    }
}

/// A bucket of time, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeBucket(pub i64);

impl TimeBucket {
    /// The bucket that a time is in.
    pub const fn of(time: i64) -> Self {
        Self(time >> BUCKET_SHIFT)
    }

    /// Its times.
    pub const fn range(self) -> TimeRange {
        let start = self.0 << BUCKET_SHIFT;
        TimeRange::new(start, start + ((1 << BUCKET_SHIFT) - 1))
    }
}

/// The class of a series, below [`SERIES_CLASSES`].
pub(crate) fn class_of(key: &str) -> usize {
    (xxh3_64(key.as_bytes()) >> 59) as usize
}

/// Some classes of series, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesClasses(pub u32);

impl SeriesClasses {
    /// Every series.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether a series is in one of them.
    pub(crate) fn contain(self, key: &str) -> bool {
        self == Self::ALL || self.0 >> class_of(key) & 1 == 1
    }
}

/// The digests of the classes of one bucket of time.
pub type ClassDigests = [Digest; SERIES_CLASSES];

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardDigest {
    /// Deletes that are remembered, each once.
    pub deletes: Digest,
    /// Buckets that have cells.
    pub times: BTreeMap<TimeBucket, Digest>,
    /// Times of which damaged files had cells that nobody can read here any more: buckets that overlap are left out.
    pub unknown: Vec<TimeRange>,
}

impl ShardDigest {
    /// All cells together.
    pub fn cells(&self) -> Digest {
        let mut all = Digest::default();
        self.times.values().for_each(|digest| all += *digest);
        all
    }

    /// Whether the shard could not say what it has in a bucket.
    pub fn is_unknown(&self, bucket: TimeBucket) -> bool {
        self.unknown.iter().any(|range| range.overlaps(bucket.range()))
    }

    /// Appends what [`Self::decode`] reads. Layout in `docs/formats/cells.md`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.deletes.put(out);
        put_varint(out, self.times.len() as u64);
        for (bucket, digest) in &self.times {
            put_signed(out, bucket.0);
            digest.put(out);
        }
        put_varint(out, self.unknown.len() as u64);
        for range in &self.unknown {
            put_signed(out, range.start);
            put_signed(out, range.end);
        }
    }

    /// Reads a digest.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let deletes = Digest::take(reader)?;
        let mut times = BTreeMap::new();
        for _ in 0..reader.count(18)? {
            times.insert(TimeBucket(reader.signed()?), Digest::take(reader)?);
        }
        let range = |reader: &mut Reader<'_>| Ok(TimeRange::new(reader.signed()?, reader.signed()?));
        let unknown = (0..reader.count(2)?).map(|_| range(reader)).collect::<Result<_, _>>()?;
        Ok(Self { deletes, times, unknown })
    }
}

/// Appends the classes of some buckets; of each the classes that have cells.
pub fn encode_classes(classes: &BTreeMap<TimeBucket, ClassDigests>, out: &mut Vec<u8>) {
    put_varint(out, classes.len() as u64);
    for (bucket, classes) in classes {
        put_signed(out, bucket.0);
        let used = classes.iter().filter(|digest| digest.count > 0).count();
        put_varint(out, used as u64);
        for (class, digest) in classes.iter().enumerate().filter(|(_, digest)| digest.count > 0) {
            out.push(class as u8);
            digest.put(out);
        }
    }
}

/// Reads what [`encode_classes`] wrote.
pub fn decode_classes(reader: &mut Reader<'_>) -> Result<BTreeMap<TimeBucket, ClassDigests>, Malformed> {
    let mut buckets = BTreeMap::new();
    for _ in 0..reader.count(2)? {
        let bucket = TimeBucket(reader.signed()?);
        let mut classes = ClassDigests::default();
        for _ in 0..reader.count(18)? {
            let class = usize::from(reader.u8()?);
            *classes.get_mut(class).ok_or(Malformed("unknown class of series"))? = Digest::take(reader)?;
        }
        buckets.insert(bucket, classes);
    }
    Ok(buckets)
}

/// The hash of a delete, or of a field that is listed, by its bytes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> Digest {
    Digest { sum: xxh3_128(bytes), count: 1 }
}

/// Sums the cells of one series after the other.
#[derive(Debug)]
pub(crate) struct Summer {
    /// Cells of this version, and later ones, are left out.
    pub(crate) before: Version,
    pub(crate) buckets: BTreeMap<TimeBucket, Box<ClassDigests>>,
    pub(crate) cells: u64,
}

impl Default for Summer {
    fn default() -> Self {
        Self { before: Version(u64::MAX), buckets: BTreeMap::new(), cells: 0 }
    }
}

impl Summer {
    /// Adds rows of a series, each time once. Its fields are those of the columns.
    pub(crate) fn add(&mut self, key: &str, fields: &[(Arc<str>, FieldType)], rows: &Rows) {
        let class = class_of(key);
        let seeds: Vec<u64> = fields.iter().map(|(name, kind)| seed_of(key, name, *kind)).collect();
        let mut start = 0;
        while let Some(first) = rows.times.get(start) {
            let bucket = TimeBucket::of(*first);
            let last = bucket.range().end;
            let end = start + rows.times[start..].partition_point(|time| *time <= last);
            let mut digest = Digest::default();
            for (index, (column, seed)) in rows.columns.iter().zip(&seeds).enumerate() {
                if let Some(column) = column {
                    let cells = Cells { column, index, seed: *seed, before: self.before };
                    cells.add_to(&mut digest, rows, start..end);
                }
            }
            if digest.count > 0 {
                self.cells += digest.count;
                self.buckets.entry(bucket).or_default()[class] += digest;
            }
            start = end;
        }
    }
}

/// Tells cells of one series, field and type from those of others.
fn seed_of(key: &str, field: &str, kind: FieldType) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0xff, kind as u8]);
    hash.update(field.as_bytes());
    hash.digest()
}

/// A column of a series.
struct Cells<'a> {
    column: &'a Column,
    index: usize,
    seed: u64,
    before: Version,
}

impl Cells<'_> {
    /// Adds those at `places` of the rows that the column is of.
    fn add_to(&self, digest: &mut Digest, rows: &Rows, places: std::ops::Range<usize>) {
        let mut add = |row: usize, word: u64| {
            let version = rows.versions.get(self.index, row);
            if self.column.is_valid(row) && version < self.before {
                digest.add_hash(hash_cell(self.seed, rows.times[row], word, version));
            }
        };
        match &self.column.values {
            Values::Float(values) => places.for_each(|row| add(row, values[row].to_bits())),
            Values::Integer(values) => places.for_each(|row| add(row, values[row] as u64)),
            Values::Unsigned(values) => places.for_each(|row| add(row, values[row])),
            Values::Boolean(values) => places.for_each(|row| add(row, u64::from(values[row]))),
            Values::String(values) => places.for_each(|row| add(row, xxh3_64(values[row].as_bytes()))),
        }
    }
}

fn hash_cell(seed: u64, time: i64, word: u64, version: Version) -> u128 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&time.to_le_bytes());
    bytes[8..16].copy_from_slice(&word.to_le_bytes());
    bytes[16..].copy_from_slice(&version.0.to_le_bytes());
    xxh3_128_with_seed(&bytes, seed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merge::Versions;

    fn digest() -> impl Strategy<Value = Digest> {
        (any::<u128>(), any::<u64>()).prop_map(|(sum, count)| Digest { sum, count })
    }

    proptest! {
        #[test]
        fn digests_come_back_from_bytes_and_noise_does_not_panic(
            deletes in digest(),
            times in prop::collection::btree_map((-9i64..9).prop_map(TimeBucket), digest(), 0..5),
            unknown in prop::collection::vec((any::<i64>(), any::<i64>()), 0..3),
            noise: Vec<u8>,
        ) {
            let unknown = unknown.into_iter().map(|(start, end)| TimeRange::new(start, end)).collect();
            let shard = ShardDigest { deletes, times, unknown };
            let mut bytes = Vec::new();
            shard.encode(&mut bytes);
            prop_assert_eq!(ShardDigest::decode(&mut Reader::new(&bytes)), Ok(shard.clone()));
            for end in 0..bytes.len() {
                prop_assert!(ShardDigest::decode(&mut Reader::new(&bytes[..end])).is_err());
            }
            let mut classes = ClassDigests::default();
            for (place, digest) in classes.iter_mut().zip(shard.times.values()) {
                *place = Digest { count: digest.count | 1, ..*digest };
            }
            let buckets: BTreeMap<_, _> = [(TimeBucket(-4), classes), (TimeBucket(0), ClassDigests::default())].into();
            let mut bytes = Vec::new();
            encode_classes(&buckets, &mut bytes);
            prop_assert_eq!(decode_classes(&mut Reader::new(&bytes)), Ok(buckets));
            let _ignored = ShardDigest::decode(&mut Reader::new(&noise));
            let _ignored = decode_classes(&mut Reader::new(&noise));
        }

        #[test]
        fn a_time_is_in_its_bucket(time: i64) {
            prop_assert!(TimeBucket::of(time).range().contains(time));
        }
    }

    #[test]
    fn every_part_of_a_cell_counts() {
        let rows = |time, value: f64, version| Rows {
            times: vec![time],
            columns: vec![Some(Column { values: Values::Float(vec![value]), valid: None })],
            versions: Versions::Uniform(Version(version)),
        };
        let sum = |key: &str, field: &str, rows: &Rows| {
            let mut summer = Summer::default();
            summer.add(key, &[(field.into(), FieldType::Float)], rows);
            summer.buckets.into_values().map(|classes| classes[class_of(key)]).next()
        };
        let one = sum("m,a=1", "f", &rows(5, 0.0, 7));
        let others = [
            sum("m,a=2", "f", &rows(5, 0.0, 7)),
            sum("m,a=1", "g", &rows(5, 0.0, 7)),
            sum("m,a=1", "f", &rows(6, 0.0, 7)),
            sum("m,a=1", "f", &rows(5, -0.0, 7)),
            sum("m,a=1", "f", &rows(5, 0.0, 8)),
        ];
        for (index, other) in others.into_iter().enumerate() {
            assert_ne!(other, one, "{index}");
        }
        assert_eq!(sum("m,a=1", "f", &rows(5, 0.0, 7)), one);
    }
}
