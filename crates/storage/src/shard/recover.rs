//! Opening a shard: manifest, index, segments, log. Whatever a crash left is either part of the shard or removed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Instant,
};

use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use skywatch_model::TimeRange;

use super::{Active, SegmentSlot, Shard, ShardId, Tables, upkeep::index_path, work::Counters};
use crate::{
    Consumer, OpenError, StoreOptions,
    fs::{Fs, FsError, TEMPORARY_SUFFIX},
    index::{Index, IndexFileError},
    manifest::Manifest,
    memtable::MemTable,
    rows::{FieldId, Layout, RowSet, SeriesId},
    segment::{self, Segment},
    store::Shared,
    tombstone::Tombstones,
    wal::{self, DamagedLog, FieldDefinition, Log, Record, Repair, RowDecoder},
    wire::Malformed,
};

/// What opening a shard found. After an orderly stop, and after a mere crash, nothing in it is alarming.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Records read back from the log.
    pub records: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes cut off the end of the log: writes that were never acknowledged.
    pub torn_bytes: u64,
    /// Damage inside the log; copies are in `quarantine/`. What it held is lost to this shard.
    pub damaged_log: Vec<DamagedLog>,
    /// Segments that cannot be read. Queries that need them fail until they are restored.
    pub damaged_segments: Vec<PathBuf>,
    /// Index files that could not be read; the index was rebuilt from the segments and the log.
    pub damaged_index: Vec<PathBuf>,
}

impl RecoveryReport {
    /// Whether something was damaged by more than a crash.
    pub fn has_damage(&self) -> bool {
        !(self.damaged_log.is_empty() && self.damaged_segments.is_empty() && self.damaged_index.is_empty())
    }
}

/// What a shard is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: &'a Path,
    pub(crate) id: ShardId,
    pub(crate) options: Arc<StoreOptions>,
    pub(crate) shared: Arc<Shared>,
}

impl Shard {
    /// Creates the directory of a new shard, durably, or changes nothing.
    pub(crate) fn create(fs: &dyn Fs, dir: &Path, range: TimeRange) -> Result<(), FsError> {
        fs.create_dir_all(dir).map_err(FsError::on("create", dir))?;
        Manifest::new(range).store(fs, dir)?;
        let parent = dir.parent().unwrap_or(Path::new("."));
        fs.sync_dir(parent).map_err(FsError::on("sync", parent))
    }

    /// Opens an existing shard.
    pub(crate) fn open(opening: Opening<'_>) -> Result<Self, OpenError> {
        let Opening { fs, dir, id, options, shared } = opening;
        let mut manifest = Manifest::load(&*fs, dir)?.ok_or_else(|| OpenError::Damaged {
            path: Manifest::path(dir),
            reason: "it is missing".to_owned(),
        })?;
        let mut report = RecoveryReport::default();
        remove_leftovers(&*fs, dir, &manifest)?;
        let segments = open_segments(&fs, dir, &manifest, &mut report)?;
        let mut index = load_index(&*fs, dir, &manifest, &segments, &mut report)?;
        let table = MemTable::new(Arc::clone(&options.memory));
        let scan = wal::scan(&*fs, dir, manifest.log_floor)?;
        let mut repair = scan.repair();
        let mut replay = Replay {
            index: &mut index,
            table: &table,
            decoder: RowDecoder::default(),
            report: &mut report,
            tombstones: manifest.tombstones.clone(),
            has_deletes: false,
            deleted: RoaringBitmap::new(),
        };
        for file in &scan.files {
            for (offset, body) in file.records() {
                if let Err(reason) = replay.record(body) {
                    tracing::error!(file = %file.path.display(), offset, %reason, "a record of the log cannot be applied");
                    repair.quarantine(&file.path, offset, body.len() as u64);
                }
            }
        }
        let Replay { tombstones, has_deletes, deleted, .. } = replay;
        // Numbers handed out and lost with the process must not fall below a barrier when they are handed out again.
        for tombstone in tombstones.iter() {
            manifest.next_tombstone = manifest.next_tombstone.max(tombstone.id + 1);
            manifest.next_file = manifest.next_file.max(tombstone.barrier);
        }
        apply_repair(&*fs, dir, &repair, &mut report)?;
        let sequence = scan.last_sequence.map_or(manifest.log_floor, |last| last + 1).max(manifest.log_floor);
        let log = Log::create(Arc::clone(&fs), dir, sequence, options.durability)?;
        let mut index_memory = options.memory.empty(Consumer::Index);
        index_memory.set(index.memory_bytes());
        let forgotten = manifest.forgotten.before.0;
        let now = Instant::now();
        let first_write = (has_deletes || !table.is_empty()).then_some(now);
        let active = Active { table: Arc::new(table), first_write };
        let shard = Self {
            id,
            dir: dir.to_owned(),
            range: manifest.range,
            fs,
            options,
            shared,
            index: Arc::new(RwLock::new(index)),
            index_memory: Mutex::new(index_memory),
            series_limit: OnceLock::new(),
            log,
            gate: RwLock::new(()),
            tables: RwLock::new(Tables { active, frozen: Vec::new(), segments: segments.into(), tombstones }),
            manifest: Mutex::new(manifest),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            waste: Mutex::default(),
            digesting: Mutex::default(),
            known: Mutex::default(),
            scratch: Mutex::default(),
            elders: Mutex::default(),
            is_closed: Arc::default(),
            counters: Counters::default(),
            opened: now,
            last_write_ms: AtomicU64::new(0),
            last_idle_flush: Mutex::default(),
            forgotten: AtomicU64::new(forgotten),
            recovery: report,
        };
        if let Err(error) = shard.retire_emptied_of(&deleted) {
            tracing::warn!(shard = id.0, %error, "series without points stay listed");
        }
        Ok(shard)
    }
}

/// Removes temporary files and those that no manifest names: a crash happened before it did, or after it no longer did.
fn remove_leftovers(fs: &dyn Fs, dir: &Path, manifest: &Manifest) -> Result<(), OpenError> {
    for entry in fs.list(dir).map_err(FsError::on("list", dir))? {
        let is_leftover = if entry.name.ends_with(TEMPORARY_SUFFIX) {
            true
        } else if let Some(number) = segment::number_of(&entry.name) {
            manifest.segments.iter().all(|segment| segment.number != number)
        } else if let Some(number) = super::upkeep::index_number(&entry.name) {
            manifest.index_files.iter().all(|file| file.number != number)
        } else {
            false
        };
        if is_leftover && !entry.is_dir {
            let path = dir.join(&entry.name);
            fs.remove_file(&path).map_err(FsError::on("remove", &path))?;
        }
    }
    Ok(())
}

fn open_segments(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    manifest: &Manifest,
    report: &mut RecoveryReport,
) -> Result<Vec<SegmentSlot>, OpenError> {
    let mut slots = Vec::with_capacity(manifest.segments.len());
    for meta in &manifest.segments {
        let path = segment::file_path(dir, meta.number);
        let reason = match Segment::open(fs, &path, meta.number) {
            Ok(segment) if segment.meta() == meta => {
                slots.push(SegmentSlot::Ready(Arc::new(segment)));
                continue;
            }
            Ok(_) => "is not the file the manifest names".to_owned(),
            Err(OpenError::Damaged { reason, .. }) => reason,
            Err(OpenError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                "is missing".to_owned()
            }
            Err(error) => return Err(error),
        };
        tracing::error!(file = %path.display(), %reason, "a segment cannot be read; queries of its time range will fail");
        report.damaged_segments.push(path.clone());
        slots.push(SegmentSlot::Damaged { meta: meta.clone(), path, reason: reason.into() });
    }
    Ok(slots)
}

fn load_index(
    fs: &dyn Fs,
    dir: &Path,
    manifest: &Manifest,
    segments: &[SegmentSlot],
    report: &mut RecoveryReport,
) -> Result<Index, OpenError> {
    let mut index = Index::default();
    index.retire(&manifest.retired);
    for file in &manifest.index_files {
        let path = index_path(dir, file.number);
        let reason = match fs.map(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
            Err(source) => return Err(FsError { action: "read", path, source }.into()),
            Ok(bytes) => match index.load(bytes) {
                Ok(range) if range == file.range => continue,
                Ok(_) => "is not the file the manifest names".to_owned(),
                Err(IndexFileError::TooNew { found, supported }) => {
                    return Err(OpenError::TooNew { path, found, supported });
                }
                Err(error @ IndexFileError::Damaged { .. }) => {
                    wal::keep_copy(fs, dir, &path)?;
                    error.to_string()
                }
            },
        };
        tracing::error!(file = %path.display(), %reason, "index file cannot be read; a copy is kept in quarantine/ and the index rebuilt from segments");
        report.damaged_index.push(path);
    }
    if !report.damaged_index.is_empty() {
        index = rebuild_index(manifest, segments);
    }
    // Numbers the manifest knows of are never handed out again, whatever could be read.
    let used = manifest.indexed();
    if let Some(last) = used.series.checked_sub(1) {
        index.reserve_series(SeriesId(last));
    }
    if let Some(last) = used.fields.checked_sub(1) {
        index.reserve_field(FieldId(last));
    }
    Ok(index)
}

/// The index of what the readable segments hold.
fn rebuild_index(manifest: &Manifest, segments: &[SegmentSlot]) -> Index {
    let mut index = Index::default();
    index.retire(&manifest.retired);
    tracing::warn!(segments = manifest.segments.len(), "rebuilding the index");
    for segment in segments.iter().filter_map(SegmentSlot::ready) {
        for measurement in segment.measurements() {
            for field in &measurement.fields {
                index.insert_field(&FieldDefinition {
                    id: field.id,
                    measurement: Arc::clone(&measurement.name),
                    name: Arc::clone(&field.name),
                    field_type: field.field_type,
                });
            }
        }
        match segment.keys() {
            Ok(keys) => keys.iter().for_each(|definition| {
                index.insert_series(definition);
            }),
            Err(error) => tracing::error!(%error, "series of a segment cannot be listed"),
        }
    }
    index
}

struct Replay<'a> {
    index: &'a mut Index,
    table: &'a MemTable,
    decoder: RowDecoder,
    report: &'a mut RecoveryReport,
    tombstones: Tombstones,
    has_deletes: bool,
    /// Series that tombstones of the log concern.
    deleted: RoaringBitmap,
}

impl Replay<'_> {
    fn record(&mut self, body: &[u8]) -> Result<(), Malformed> {
        match Record::decode(body)? {
            Record::Series(definitions) => {
                for definition in definitions {
                    self.index.insert_series(&definition);
                }
            }
            Record::Fields(definitions) => {
                definitions.iter().for_each(|field| self.index.insert_field(field));
            }
            Record::Tombstone(tombstone) => {
                self.has_deletes = true;
                self.deleted |= &tombstone.series;
                if self.tombstones.iter().all(|known| known.id != tombstone.id) {
                    self.tombstones = self.tombstones.with(*tombstone);
                }
            }
            Record::Retired(retired) => {
                self.has_deletes = true;
                self.index.retire(&retired);
            }
            Record::Rows(payload) => {
                let mut rows = self.decoder.decode(&payload)?;
                let is_retired = |id: &SeriesId| self.index.is_retired(*id);
                if rows.groups().iter().any(|group| group.series.iter().any(is_retired)) {
                    // Their definitions may be gone; that is no damage.
                    rows = rows.filtered(|_| true, |id| !self.index.is_retired(id));
                }
                let lost = self.undefined(&rows);
                if lost.is_some() {
                    rows = rows
                        .filtered(|layout| self.is_defined(layout), |id| self.index.series_key(id).is_some());
                }
                self.table.insert(&rows);
                self.report.rows += rows.len() as u64;
                self.report.records += 1;
                return lost.map_or(Ok(()), Err);
            }
        }
        self.report.records += 1;
        Ok(())
    }

    /// Rows of unknown series or fields can only follow a lost definition. Their numbers are kept out of use.
    fn undefined(&mut self, rows: &RowSet) -> Option<Malformed> {
        let mut lost = None;
        for group in rows.groups() {
            group.layout.fields.iter().for_each(|id| self.index.reserve_field(*id));
            if !self.is_defined(&group.layout) {
                lost = Some(Malformed("rows of a field whose definition is lost"));
            }
            for id in &group.series {
                self.index.reserve_series(*id);
                if self.index.series_key(*id).is_none() {
                    lost = Some(Malformed("rows of a series whose definition is lost"));
                }
            }
        }
        lost
    }

    fn is_defined(&self, layout: &Layout) -> bool {
        let has_type = |id: FieldId, field_type| {
            self.index.field(id).is_some_and(|field| field.field_type == field_type)
        };
        layout.fields.iter().zip(&layout.types).all(|(id, field_type)| has_type(*id, *field_type))
    }
}

fn apply_repair(
    fs: &dyn Fs,
    dir: &Path,
    repair: &Repair,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    for damage in &repair.damage {
        let DamagedLog { path, offset_bytes, len_bytes } = damage;
        tracing::error!(file = %path.display(), offset_bytes, len_bytes, "the log is damaged; a copy is kept in quarantine/");
    }
    repair.apply(fs, dir)?;
    report.torn_bytes = repair.torn_bytes;
    report.damaged_log.clone_from(&repair.damage);
    Ok(())
}
