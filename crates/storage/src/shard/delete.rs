//! Deleting: series leave the index, cells get a tombstone.
//!
//! A delete is ordered with writes by the gate: it sees every row appended before it, and none after it. What it decides
//! is a record of the log, made durable like any write before it is acknowledged.
//!
//! - A single owner that deletes everything its series have here *retires* their numbers; no row is looked at.
//! - Else a tombstone hides the cells, and the series that it leaves without any are retired afterwards.
//!
//! A crash between the two leaves such series listed; they go when the shard is opened, since the tombstone is in the log then.
//! Those that cannot be looked through, since a segment is damaged, go once that has been given up.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use roaring::RoaringBitmap;
use skywatch_model::{TimeRange, Version, series::parse_measurement};

use super::{SegmentSlot, Shard, forget::Origin};
use crate::{
    ReadError, TagPredicate, WriteError,
    index::{Retired, select_ids},
    manifest::Manifest,
    memtable::{MemScan, MemView},
    rows::{FieldId, SeriesId},
    segment::{BLOCK_ROWS, Columns},
    tombstone::{
        Fate, MAX_DEPTH, Place, Rule, SeriesMasks, Tombstone, Tombstones, fate, keeps_rules, survives,
    },
    wal::{Encoder, Position},
};

/// What a delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteReport {
    /// Series it concerned.
    pub series: u64,
    /// Of which none is left: they are no longer listed.
    pub retired: u64,
}

/// Where the cells of a series may be.
#[derive(Debug)]
struct Places {
    segments: Arc<[SegmentSlot]>,
    memory: Vec<MemView>,
    tombstones: Tombstones,
}

impl Shard {
    /// Deletes the cells of lower versions that the series of `measurements` (exact names) with these tags have in
    /// `range`. Returns when that is durable as far as the store's [`Durability`](crate::Durability) promises; readers
    /// see it at once.
    ///
    /// With [`VersionPolicy::Strip`](crate::VersionPolicy::Strip) everything written before is of a lower version.
    /// With `Keep` points that arrive later are deleted too if their version is lower.
    pub fn delete(
        &self,
        measurements: &[Arc<str>],
        predicate: &TagPredicate,
        range: TimeRange,
        version: Version,
    ) -> Result<DeleteReport, WriteError> {
        self.check_open()?;
        self.log.check_poison()?;
        let range = range.intersect(self.range);
        if range.is_empty() || measurements.is_empty() {
            return Ok(DeleteReport::default());
        }
        let rule = self.rule(measurements, predicate)?;
        let (chosen, series, position, retired) = {
            let mut manifest = self.manifest.lock();
            let _closed = self.gate.write();
            self.check_open()?;
            if rule.is_some() {
                self.check_settled(version, &Origin::OPERATION)?;
            }
            let bounds = self.index.read().bounds();
            let select =
                |name: &Arc<str>| (Arc::clone(name), select_ids(&self.index, name, predicate, bounds));
            let chosen: Vec<(Arc<str>, RoaringBitmap)> = measurements.iter().map(select).collect();
            let series = chosen.iter().fold(RoaringBitmap::new(), |all, (_, ids)| all | ids);
            if series.is_empty() && rule.is_none() {
                return Ok(DeleteReport::default());
            }
            if rule.is_none() && range.covers(self.range) {
                let retired = self.index.read().retirement(series.clone());
                let position = self.retire(&retired)?;
                (chosen, series, position, true)
            } else {
                let version = self.version_of_delete(version, rule.is_some());
                let tombstone = Tombstone {
                    id: manifest.next_tombstone,
                    version,
                    range,
                    barrier: manifest.next_file,
                    log: self.log.last_sequence(),
                    series: series.clone(),
                    resolved: bounds.series,
                    rule,
                };
                (chosen, series, self.entomb(&mut manifest, tombstone)?, false)
            }
        };
        self.log.wait(position)?;
        let concerned = series.len();
        let retired = if retired { concerned } else { self.retire_emptied(&chosen)? };
        Ok(DeleteReport { series: concerned, retired })
    }

    fn rule(&self, measurements: &[Arc<str>], predicate: &TagPredicate) -> Result<Option<Rule>, WriteError> {
        if !keeps_rules(self.options.versions) {
            return Ok(None);
        }
        if predicate.depth() > MAX_DEPTH {
            return Err(WriteError::PredicateTooDeep { limit: MAX_DEPTH });
        }
        Ok(Some(Rule { measurements: measurements.to_vec(), predicate: predicate.clone() }))
    }

    /// Where versions are stripped, the order of arrival counts: whatever is here is older. The gate is held.
    fn version_of_delete(&self, version: Version, keeps_versions: bool) -> Version {
        if keeps_versions {
            return version;
        }
        let tables = self.tables.read();
        let unflushed = tables.frozen.iter().map(|frozen| &frozen.table).chain([&tables.active.table]);
        unflushed.map(|table| Version(table.latest_version().0 + 1)).fold(version, Ord::max)
    }

    /// Logs a tombstone and shows it to readers. The gate is held.
    fn entomb(&self, manifest: &mut Manifest, tombstone: Tombstone) -> Result<Position, WriteError> {
        let known = self.tables.read().tombstones.clone();
        if known.have(&tombstone) {
            // A replica may hear of it again, or of one that it covers; that must be durable all the same.
            return Ok(self.log.end());
        }
        // Where other owners have taken it already, this one had better take it too.
        let limit = self.options.deletes_max * if tombstone.rule.is_some() { 2 } else { 1 };
        if known.len() >= limit {
            self.shared.want_compaction();
            return Err(WriteError::TooManyDeletes { limit });
        }
        let mut encoder = Encoder::default();
        let position = self.log.append(encoder.tombstone(&tombstone)?)?;
        manifest.next_tombstone += 1;
        let range = tombstone.range;
        let mut tables = self.tables.write();
        tables.tombstones = known.with(tombstone);
        tables.active.first_write.get_or_insert_with(Instant::now);
        drop(tables);
        self.touch_times(range);
        self.deleted_more();
        Ok(position)
    }

    /// Logs that series and fields are no more and takes them out of the index. The gate is held.
    pub(super) fn retire(&self, retired: &Retired) -> Result<Position, WriteError> {
        let mut encoder = Encoder::default();
        let position = self.log.append(encoder.retired(retired)?)?;
        self.index.write().retire(retired);
        self.tables.write().active.first_write.get_or_insert_with(Instant::now);
        self.deleted_more();
        Ok(position)
    }

    /// There is more to leave out when segments are next rewritten.
    fn deleted_more(&self) {
        self.waste.lock().forget_shares();
        self.elders.lock().clear();
        let now = Instant::now().saturating_duration_since(self.opened).as_millis() as u64;
        self.last_write_ms.store(now, Ordering::Relaxed);
        self.shared.want_compaction();
    }

    /// Retires those of some series, given by measurement, that tombstones leave without a cell; returns how many.
    pub(super) fn retire_emptied(&self, chosen: &[(Arc<str>, RoaringBitmap)]) -> Result<u64, WriteError> {
        let before = self.places();
        let emptied: Vec<(Arc<str>, RoaringBitmap)> = chosen
            .iter()
            .map(|(name, ids)| (Arc::clone(name), self.emptied(name, ids, &before, |_| true)))
            .filter(|(_, ids)| !ids.is_empty())
            .collect();
        if emptied.is_empty() {
            return Ok(0);
        }
        let (retired, position) = {
            // Writers wait only for a look at what they have written since.
            let _closed = self.gate.write();
            self.check_open()?;
            let now = self.places();
            let is_new = |slot: &SegmentSlot| {
                before.segments.iter().all(|known| known.meta().number != slot.meta().number)
            };
            let still = emptied.iter().map(|(name, ids)| self.emptied(name, ids, &now, is_new));
            let mut still = still.fold(RoaringBitmap::new(), |all, ids| all | ids);
            still -= self.index.read().retired_series();
            if still.is_empty() {
                return Ok(0);
            }
            let count = still.len();
            let retired = self.index.read().retirement(still);
            (count, self.retire(&retired)?)
        };
        self.log.wait(position)?;
        Ok(retired)
    }

    /// As [`Self::retire_emptied`], of some series of whatever measurements.
    pub(super) fn retire_emptied_of(&self, series: &RoaringBitmap) -> Result<u64, WriteError> {
        let mut chosen: BTreeMap<String, RoaringBitmap> = BTreeMap::new();
        {
            let index = self.index.read();
            for id in series - index.retired_series() {
                if let Some(key) = index.series_key(SeriesId(id)) {
                    chosen.entry(parse_measurement(&key).into_owned()).or_default().insert(id);
                }
            }
        }
        let chosen: Vec<_> = chosen.into_iter().map(|(name, ids)| (Arc::from(name), ids)).collect();
        self.retire_emptied(&chosen)
    }

    /// As [`Self::retire_emptied`], of all series that deletes concern.
    pub(super) fn retire_all_emptied(&self) -> Result<u64, WriteError> {
        let deleted = self.tables.read().tombstones.series();
        self.retire_emptied_of(&deleted)
    }

    fn places(&self) -> Places {
        let tables = self.tables.read();
        let unflushed = tables.frozen.iter().map(|frozen| &frozen.table).chain([&tables.active.table]);
        Places {
            memory: unflushed.map(|table| table.view()).collect(),
            segments: Arc::clone(&tables.segments),
            tombstones: tables.tombstones.clone(),
        }
    }

    /// Those series of a measurement of which nothing is left in memory and in the segments that `which` names. What
    /// cannot be read counts as something.
    fn emptied(
        &self,
        measurement: &str,
        ids: &RoaringBitmap,
        places: &Places,
        which: impl Fn(&SegmentSlot) -> bool,
    ) -> RoaringBitmap {
        let fields: Vec<Option<FieldId>> =
            self.index.read().field_ids(measurement).into_iter().map(Some).collect();
        let mut segments: Vec<Columns<'_>> = Vec::new();
        for slot in places.segments.iter().filter(|slot| which(slot)) {
            match slot {
                SegmentSlot::Ready(segment) => segments.extend(segment.columns(measurement, &fields)),
                SegmentSlot::Damaged { .. } => return RoaringBitmap::new(),
            }
        }
        let memory: Vec<MemScan> = places.memory.iter().map(|view| view.scan(&fields)).collect();
        let is_emptied = |id: &u32| {
            let id = SeriesId(*id);
            let masks = places.tombstones.of_series(id, TimeRange::ALL, || self.index.read().series_key(id));
            !memory.iter().any(|scan| has_rows(scan, id, &masks))
                && segments.iter().all(|columns| matches!(has_cells(columns, id, &masks), Ok(false)))
        };
        ids.iter().filter(is_emptied).collect()
    }
}

/// Whether masks leave anything of a series in a memtable.
fn has_rows(scan: &MemScan, series: SeriesId, masks: &SeriesMasks) -> bool {
    scan.rows(series, TimeRange::ALL, BLOCK_ROWS).iter().any(|rows| {
        let masks = masks.at(Place::Memory, rows.time_range());
        masks.is_empty() || survives(&scan.gather(rows, true), &masks)
    })
}

/// Whether masks leave anything of a series in a segment.
fn has_cells(columns: &Columns<'_>, series: SeriesId, masks: &SeriesMasks) -> Result<bool, ReadError> {
    let segment = columns.segment;
    let mut blocks = Vec::new();
    columns.blocks(series, TimeRange::ALL, &mut blocks)?;
    for block in blocks {
        let range = block.time_range();
        let masks = masks.at(Place::Segment(segment.meta().number), range);
        let lives = match fate(&masks, range, block.version()) {
            Fate::Whole => true,
            Fate::Gone => false,
            Fate::Part => survives(&segment.decode(&block, range, true)?, &masks),
        };
        if lives {
            return Ok(true);
        }
    }
    Ok(false)
}
