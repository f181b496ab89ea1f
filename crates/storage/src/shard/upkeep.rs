//! Flushing memtables and merging segments. Readers and writers go on meanwhile.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    Active, Frozen, SegmentSlot, Shard, Tables,
    due::{FlushCause, Unflushed},
    work::add,
};
use crate::{
    Consumer, MaintenanceError, Reservation, VersionPolicy, WriteError,
    compaction::{self, Merge, Pace, Rest},
    flush,
    fs::FsError,
    index::{self, Bounds, IndexFileMeta, WriteIndexError},
    manifest::{IndexFile, Manifest},
    memtable::MemTable,
    segment::{self, Segment, SegmentMeta},
    tombstone::{Tombstones, worth_rewriting},
    wal,
};

pub(crate) fn index_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.idx"))
}

pub(crate) fn index_number(name: &str) -> Option<u64> {
    name.strip_suffix(".idx")?.parse().ok()
}

/// About what the blocks take that a flush or a merge has in hands.
const BLOCKS_IN_WORK_BYTES: u64 = 4 << 20;
/// The directory of a segment is about such a part of what is written to it.
const DIRECTORY_PART: u64 = 32;

/// Once forgotten deletes are more than one in so many that a shard may have, segments are rewritten for their sake alone.
const FORGOTTEN_SHARE: usize = 64;

impl Shard {
    /// Moves everything written so far into segments.
    pub fn flush(&self) -> Result<(), MaintenanceError> {
        let _flushing = self.flushing.lock();
        if self.is_closed() {
            return Err(MaintenanceError::Closed);
        }
        self.flush_all()
    }

    /// As [`Self::flush`], of a shard that takes no more writes. Called after [`Self::shut`].
    pub(crate) fn flush_closed(&self) -> Result<(), MaintenanceError> {
        let _flushing = self.flushing.lock();
        self.flush_all()
    }

    fn flush_all(&self) -> Result<(), MaintenanceError> {
        self.freeze()?;
        loop {
            let Some(oldest) = self.tables.read().frozen.first().cloned() else {
                return Ok(());
            };
            self.counters.flushes.count(|| self.flush_one(&oldest))?;
        }
    }

    /// As [`Self::flush`], for this reason.
    pub(crate) fn flush_because(&self, cause: FlushCause) -> Result<(), MaintenanceError> {
        if cause == FlushCause::Idle {
            *self.last_idle_flush.lock() = Some(Instant::now());
        }
        self.flush()
    }

    /// Why the memtable is due, if it is.
    pub(crate) fn flush_cause(&self, now: Instant) -> Option<FlushCause> {
        if self.log.check_poison().is_err() {
            // Nothing can be frozen without the log; what is in memory stays readable and is in the log.
            return None;
        }
        let since_idle_flush = self.last_idle_flush.lock().map(|last| now.saturating_duration_since(last));
        let tables = self.tables.read();
        let first_write = tables.active.first_write;
        let unflushed = Unflushed {
            has_frozen: !tables.frozen.is_empty(),
            size_bytes: tables.active.table.size_bytes(),
            age: first_write.map(|first| now.saturating_duration_since(first)),
            idle: self.idle_for(),
            since_idle_flush,
        };
        unflushed.cause(&self.options)
    }

    /// Memory that a flush would free.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        self.tables.read().active.table.size_bytes()
    }

    /// Gives the log a new file and writers a new memtable, at one moment between writes.
    fn freeze(&self) -> Result<(), WriteError> {
        let _closed = self.gate.write();
        // A delete alone is reason enough: the log can go once the manifest says what it says.
        if self.tables.read().active.first_write.is_none() {
            return Ok(());
        }
        let log_floor = self.log.rotate()?;
        let fresh =
            Active { table: Arc::new(MemTable::new(Arc::clone(&self.options.memory))), first_write: None };
        let mut tables = self.tables.write();
        let full = std::mem::replace(&mut tables.active, fresh);
        tables.frozen.push(Frozen { table: full.table, log_floor });
        Ok(())
    }

    pub(super) fn keep_versions(&self) -> bool {
        self.options.versions == VersionPolicy::Keep
    }

    fn next_file(&self) -> u64 {
        self.manifest.lock().take_file()
    }

    /// The number of a segment to write, and the tombstones to apply. At one moment: a delete comes before, and is among
    /// them, or after, and its barrier is above the number.
    fn begin_segment(&self) -> (u64, Tombstones) {
        let mut manifest = self.manifest.lock();
        (manifest.take_file(), self.tables.read().tombstones.clone())
    }

    fn sync_dir(&self) -> Result<(), FsError> {
        self.fs.sync_dir(&self.dir).map_err(FsError::on("sync", &self.dir))
    }

    /// The oldest frozen memtable becomes the youngest segment.
    fn flush_one(&self, frozen: &Frozen) -> Result<(), MaintenanceError> {
        let _flushing = self.shared.begin_flush();
        let (number, tombstones) = self.begin_segment();
        let path = segment::file_path(&self.dir, number);
        let _working = self.working_memory(frozen.table.size_bytes());
        let keep = (&tombstones, self.keep_versions());
        let written = flush::write_segment(&*self.fs, &path, number, &frozen.table, &self.index, keep);
        let meta = written.inspect_err(|_| self.remove_obsolete(&path))?;
        let (index_file, written) = self.write_index()?.unzip();
        let segment = self.open_unless_empty(&path, &meta)?;
        self.sync_dir()?;
        let latest = frozen.table.latest_version();
        let replaced = self.commit(|manifest| {
            manifest.log_floor = frozen.log_floor;
            manifest.latest_version = manifest.latest_version.max(latest);
            manifest.segments.extend(segment.is_some().then_some(meta));
            index_file.map_or_else(Vec::new, |file| replace_index_files(manifest, file))
        })?;
        if let Some(written) = written {
            let mut index = self.index.write();
            index.install(written);
            self.index_memory.lock().set(index.memory_bytes());
        }
        let segment = segment.map(|segment| SegmentSlot::Ready(Arc::new(segment)));
        self.change_tables(frozen.log_floor, |tables| {
            tables.frozen.remove(0);
            tables.segments = tables.segments.iter().cloned().chain(segment).collect();
        });
        for file in replaced {
            self.remove_obsolete(&index_path(&self.dir, file.number));
        }
        self.remove_log_below(frozen.log_floor);
        add(&self.counters.flushed_bytes, frozen.table.size_bytes());
        self.shared.memory_freed();
        Ok(())
    }

    /// As [`Self::open_written`]; a segment without rows is removed.
    fn open_unless_empty(
        &self,
        path: &Path,
        meta: &SegmentMeta,
    ) -> Result<Option<Segment>, MaintenanceError> {
        if meta.rows == 0 {
            self.remove_obsolete(path);
            return Ok(None);
        }
        self.open_written(path, meta.number).map(Some)
    }

    /// Shows readers other tables, and takes away the tombstones that these leave without use.
    pub(super) fn change_tables(&self, log_floor: u64, change: impl FnOnce(&mut Tables)) {
        let forgotten = self.manifest.lock().forgotten;
        let mut tables = self.tables.write();
        change(&mut tables);
        let index = self.index.read();
        let metas = tables.segments.iter().map(SegmentSlot::meta);
        let needed = tables.tombstones.needed((forgotten, log_floor), metas, index.retired_series());
        tables.tombstones = needed;
        let segments = Arc::clone(&tables.segments);
        drop((tables, index));
        self.waste.lock().retain(|number| segments.iter().any(|slot| slot.meta().number == number));
    }

    /// Opens a segment just written, so that what the manifest will name has been read back once.
    fn open_written(&self, path: &Path, number: u64) -> Result<Segment, MaintenanceError> {
        Segment::open(&self.fs, path, number).map_err(|error| match error {
            crate::OpenError::Io(error) => MaintenanceError::Io(error),
            other => MaintenanceError::Read(crate::ReadError::Corrupt {
                file: path.display().to_string(),
                offset: 0,
                reason: other.to_string(),
            }),
        })
    }

    /// Replaces the manifest on disk, then in memory.
    pub(super) fn commit<T>(&self, change: impl FnOnce(&mut Manifest) -> T) -> Result<T, FsError> {
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        let result = change(&mut next);
        let tombstones = self.tables.read().tombstones.clone();
        next.latest_version = next.latest_version.max(tombstones.latest_version());
        next.retired = self.index.read().retired();
        let floors = (next.forgotten, next.log_floor);
        next.tombstones = tombstones.needed(floors, next.segments.iter(), &next.retired.series);
        next.store(&*self.fs, &self.dir)?;
        *manifest = next;
        Ok(result)
    }

    /// Writes the part of the index that no file holds, together with the youngest files that are not much larger.
    fn write_index(&self) -> Result<Option<(IndexFile, index::Written)>, MaintenanceError> {
        let Some(pending) = self.index.write().freeze() else { return Ok(None) };
        let known = self.manifest.lock().index_files.clone();
        let IndexFileMeta { from, to } = pending.range;
        let range = IndexFileMeta { from: merged_start(&known, from, to), to };
        let number = self.next_file();
        let path = index_path(&self.dir, number);
        let written = pending.write(&*self.fs, &path, range).map_err(|error| {
            self.remove_obsolete(&path);
            match error {
                WriteIndexError::Io(error) => MaintenanceError::Io(error),
                WriteIndexError::Damaged(error) => MaintenanceError::Read(crate::ReadError::Corrupt {
                    file: path.display().to_string(),
                    offset: 0,
                    reason: format!("what was written is not what is read back: {error}"),
                }),
            }
        })?;
        Ok(Some((IndexFile { number, size_bytes: written.size_bytes, range }, written)))
    }

    /// The manifest no longer names them; a crash before this is made good at the next open.
    fn remove_log_below(&self, floor: u64) {
        for entry in self.fs.list(&self.dir).unwrap_or_default() {
            if wal::sequence_of(&entry.name).is_some_and(|sequence| sequence < floor) {
                self.remove_obsolete(&self.dir.join(&entry.name));
            }
        }
    }

    pub(super) fn remove_obsolete(&self, path: &Path) {
        if let Err(error) = self.fs.remove_file(path) {
            tracing::warn!(file = %path.display(), %error, "obsolete file stays until the next start");
        }
    }

    /// Merges segments until nothing is worth merging; returns how many merges that took.
    pub fn compact(&self) -> Result<u64, MaintenanceError> {
        let mut merges = 0;
        while self.compact_once()? {
            merges += 1;
        }
        Ok(merges)
    }

    /// Performs the most useful merge, if there is one. A segment that turns out damaged is left where it is, and the
    /// others go on without it.
    pub(crate) fn compact_once(&self) -> Result<bool, MaintenanceError> {
        let _compacting = self.compacting.lock();
        loop {
            if self.is_closed() {
                return Err(MaintenanceError::Closed);
            }
            let (slots, Some(range)) = self.next_merge() else { return Ok(false) };
            let inputs: Vec<Arc<Segment>> =
                slots[range].iter().filter_map(SegmentSlot::ready).cloned().collect();
            match self.counters.merges.count(|| self.merge(&inputs)) {
                Err(MaintenanceError::Read(_)) if inputs.iter().any(|input| input.is_damaged()) => {}
                merged => return merged.map(|()| true),
            }
        }
    }

    /// A segment of which much is deleted, alone.
    fn worth_rewriting(&self, slots: &[SegmentSlot], is_cold: bool) -> Option<Range<usize>> {
        let tombstones = self.tables.read().tombstones.clone();
        let retired = self.index.read().retired_series().clone();
        if tombstones.is_empty() && retired.is_empty() {
            return None;
        }
        if let Some(index) = self.holds_forgotten(slots, &tombstones) {
            return Some(index..index + 1);
        }
        let mut waste = self.waste.lock();
        let share = |slot: &SegmentSlot| {
            let segment = slot.ready().filter(|_| slot.is_intact())?;
            Some(waste.share(segment, &tombstones, &retired))
        };
        let shares: Vec<Option<f64>> = slots.iter().map(share).collect();
        worth_rewriting(&shares, is_cold, tombstones.len()).map(|index| index..index + 1)
    }

    /// A segment without which most of many forgotten deletes could go: they are there for it alone.
    fn holds_forgotten(&self, slots: &[SegmentSlot], tombstones: &Tombstones) -> Option<usize> {
        let before = self.forgotten();
        let forgotten: Vec<_> = tombstones.iter().filter(|it| it.version < before).collect();
        if forgotten.len() <= self.options.deletes_max / FORGOTTEN_SHARE {
            return None;
        }
        let holds =
            |slot: &SegmentSlot| forgotten.iter().filter(|it| it.is_below_barrier(slot.meta())).count();
        let intact = slots.iter().enumerate().filter(|(_, slot)| slot.is_intact());
        let most = intact.map(|(index, slot)| (holds(slot), index)).max();
        most.filter(|(held, _)| *held > 0).map(|(_, index)| index)
    }

    /// The segments, and which of them to merge next.
    fn next_merge(&self) -> (Arc<[SegmentSlot]>, Option<Range<usize>>) {
        let slots = Arc::clone(&self.tables.read().segments);
        let metas: Vec<SegmentMeta> = slots.iter().map(|slot| slot.meta().clone()).collect();
        let usable: Vec<bool> = slots.iter().map(SegmentSlot::is_intact).collect();
        let rest = self.rest();
        let merge = compaction::plan(&metas, &usable, rest, self.options.max_segment_bytes);
        let range = merge.or_else(|| self.worth_rewriting(&slots, matches!(rest, Rest::Cold(_))));
        (slots, range)
    }

    /// Bytes that the next merge would rewrite.
    pub(super) fn compaction_backlog_bytes(&self) -> u64 {
        let (slots, range) = self.next_merge();
        range.map_or(0, |range| slots[range].iter().map(|slot| slot.meta().size_bytes).sum())
    }

    /// Counts what it takes to rewrite so many bytes: the blocks in work, and the directory of the new segment. Never
    /// refused, since it is what frees memory.
    fn working_memory(&self, bytes: u64) -> Reservation {
        let mut working = self.options.memory.empty(Consumer::Maintenance);
        working.set(BLOCKS_IN_WORK_BYTES + bytes / DIRECTORY_PART);
        working
    }

    /// Whether the shard is idle for long enough to tidy up.
    fn rest(&self) -> Rest {
        let idle = self.idle_for();
        let tables = self.tables.read();
        let is_flushed = tables.frozen.is_empty() && tables.active.table.is_empty();
        if is_flushed && idle >= self.options.cold_after {
            Rest::Cold(compaction::cold_bytes(idle))
        } else if idle >= self.options.flush_idle {
            Rest::Pausing
        } else {
            Rest::Busy
        }
    }

    /// Since the last write, or since it was opened.
    fn idle_for(&self) -> Duration {
        let last_write = Duration::from_millis(self.last_write_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(last_write)
    }

    fn merge(&self, inputs: &[Arc<Segment>]) -> Result<(), MaintenanceError> {
        let (number, tombstones) = self.begin_segment();
        let path = segment::file_path(&self.dir, number);
        let _working = self.working_memory(inputs.iter().map(|input| input.meta().size_bytes).sum());
        let pace = Pace { shared: &self.shared, options: &self.options, is_closed: &self.is_closed };
        let (index, keep_versions) = (&*self.index, self.keep_versions());
        let merge = Merge { inputs, index, tombstones: &tombstones, keep_versions, pace };
        let merged = merge.write(&*self.fs, &path, number);
        let meta = merged.inspect_err(|_| self.remove_obsolete(&path))?;
        let segment = self.open_unless_empty(&path, &meta)?;
        self.sync_dir()?;
        let is_input = |number: u64| inputs.iter().any(|input| input.meta().number == number);
        let log_floor = self.commit(|manifest| {
            let at = manifest.segments.iter().position(|segment| is_input(segment.number)).unwrap_or(0);
            manifest.segments.retain(|segment| !is_input(segment.number));
            if segment.is_some() {
                manifest.segments.insert(at, meta);
            }
            manifest.log_floor
        })?;
        self.change_tables(log_floor, |tables| {
            let at = tables.segments.iter().position(|slot| is_input(slot.meta().number)).unwrap_or(0);
            let mut slots: Vec<SegmentSlot> =
                tables.segments.iter().filter(|slot| !is_input(slot.meta().number)).cloned().collect();
            if let Some(segment) = segment {
                slots.insert(at, SegmentSlot::Ready(Arc::new(segment)));
            }
            tables.segments = slots.into();
        });
        inputs.iter().for_each(|input| input.mark_obsolete(&self.is_closed));
        Ok(())
    }
}

/// Where a new index file begins: before those at the end that are at most twice as large as what comes after them.
fn merged_start(known: &[IndexFile], from: Bounds, to: Bounds) -> Bounds {
    let mut start = from;
    // Those after `from` are read no more: all they say is written anew.
    let is_before = |file: &&IndexFile| {
        let to = file.range.to;
        to.series <= from.series && to.fields <= from.fields
    };
    for file in known.iter().filter(is_before).rev() {
        let after = u64::from(to.series - start.series) + u64::from(to.fields - start.fields);
        let IndexFileMeta { from, to } = file.range;
        let size = u64::from(to.series - from.series) + u64::from(to.fields - from.fields);
        if size > 2 * after {
            break;
        }
        start = from;
    }
    start
}

/// Puts `file` in the place of those whose numbers it holds; returns these.
fn replace_index_files(manifest: &mut Manifest, file: IndexFile) -> Vec<IndexFile> {
    let from = file.range.from;
    let is_before =
        |known: &IndexFile| known.range.to.series <= from.series && known.range.to.fields <= from.fields;
    let kept = manifest.index_files.partition_point(is_before);
    let replaced = manifest.index_files.split_off(kept);
    manifest.index_files.push(file);
    replaced
}
