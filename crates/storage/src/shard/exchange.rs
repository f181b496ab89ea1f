//! Cells out to another owner and in from one, and damaged segments that another owner's cells have replaced.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use rustc_hash::FxHashSet;
use skywatch_model::{
    Column, FieldRef, FieldType, TimeRange, Values, Version, line::PointBatch, series::parse_measurement,
};

use super::{
    Precedence, SegmentSlot, Shard, WriteReport,
    forget::Origin,
    snapshot::{SeriesScanner, Snapshot},
    survey::Wanted,
};
use crate::{
    ImportError, MaintenanceError, Order, ReadError,
    cells::{CellBatch, Cursor, Piece},
    digest::SeriesClasses,
    merge::{Rows, Versions},
    rows::{FieldId, SeriesId},
    scan::slice,
    segment::{self, BLOCK_ROWS},
    wal,
};

/// Kinds of refusals that are told apart in a report.
const REASONS_MAX: usize = 8;

/// What became of a batch of cells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Cells that were not here, or older, and have been stored.
    pub stored: u64,
    /// Cells that were here, or younger ones in their place.
    pub known: u64,
    /// Cells that this shard can never store.
    pub refused: u64,
    /// Why: the first few reasons, each once.
    pub reasons: Vec<Arc<str>>,
}

/// A segment of which something cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedSegment {
    /// Its number.
    pub number: u64,
    /// Times of which it may have cells.
    pub times: TimeRange,
}

impl Shard {
    /// Cells that win here, of some times and classes of series, after a cursor: about `most_bytes` of them. Where to go
    /// on, unless these are the last.
    pub fn export(
        &self,
        times: TimeRange,
        classes: SeriesClasses,
        after: Option<&Cursor>,
        most_bytes: usize,
    ) -> Result<(CellBatch, Option<Cursor>), ReadError> {
        let wanted = Wanted { times, classes, after: Some(after) };
        let mut batch = CellBatch::default();
        let mut bytes = 0;
        let mut next = None;
        self.take_snapshot().survey(wanted, |series, rows| {
            for start in (0..rows.times.len()).step_by(BLOCK_ROWS) {
                if bytes >= most_bytes {
                    next = batch.pieces.last().map(end_of);
                    return ControlFlow::Break(());
                }
                let end = rows.times.len().min(start + BLOCK_ROWS);
                let piece =
                    if end - start == rows.times.len() { rows.clone() } else { slice(&rows, start, end) };
                if let Some(piece) = piece_of(series.key, series.fields, piece) {
                    bytes += size_of_piece(&piece);
                    batch.pieces.push(piece);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok((batch, next))
    }

    /// Takes in cells of another owner, durably: those that are younger than what is here, with their versions. Segments
    /// of which something cannot be read count as absent, so that what other owners have of them is taken in.
    ///
    /// `forgotten` is what [`Self::forgotten`] was before the other owner was asked: it may have known less of deletes that
    /// have been forgotten since.
    pub fn import(&self, batch: &CellBatch, forgotten: Version) -> Result<ImportReport, ImportError> {
        let contested = self.contested_by_cells(batch);
        if !contested.is_empty() {
            self.give_way(&contested)?;
        }
        let snapshot = self.take_readable_snapshot();
        let mut report = ImportReport::default();
        let mut winners: BTreeMap<Version, PointBatch<'static>> = BTreeMap::new();
        let mut reader = LocalReader { snapshot: &snapshot, latest: None };
        for piece in &batch.pieces {
            let conflicts = reader.prepare(piece);
            let local = reader.rows_like(piece)?;
            take_winners(piece, (&local, &conflicts), &mut winners, &mut report);
        }
        let writes: Vec<(&PointBatch<'_>, Vec<u32>, Version)> = winners
            .iter()
            .map(|(version, points)| (points, (0..points.len() as u32).collect(), *version))
            .collect();
        let writes: Vec<(&PointBatch<'_>, &[u32], Version)> =
            writes.iter().map(|(points, all, version)| (*points, all.as_slice(), *version)).collect();
        for (written, (points, ..)) in
            self.write_all(&writes, &Origin::Cells { forgotten })?.into_iter().zip(&writes)
        {
            for rejected in written.rejected {
                let cells = points.point(rejected.point as usize).values().len() as u64;
                report.stored -= cells;
                report.refuse(cells, rejected.reason);
            }
        }
        Ok(report)
    }

    /// As [`Self::write`] of several batches, which become durable together. What was stored before an error stays.
    pub fn write_many(
        &self,
        batches: &[(&PointBatch<'_>, &[u32], Version)],
        precedence: Precedence,
    ) -> Result<Vec<WriteReport>, crate::WriteError> {
        self.write_all(batches, &Origin::Operation { precedence })
    }

    fn write_all(
        &self,
        batches: &[(&PointBatch<'_>, &[u32], Version)],
        origin: &Origin,
    ) -> Result<Vec<WriteReport>, crate::WriteError> {
        let mut reports = Vec::with_capacity(batches.len());
        let mut last = None;
        for (batch, points, version) in batches {
            let (report, position) = self.write_unsynced(batch, points, *version, origin)?;
            last = last.max(position);
            reports.push(report);
        }
        self.wait_for_log(last, batches.iter().map(|(_, points, _)| points.len()).sum())?;
        reports.iter().for_each(|report| self.counters.written(report));
        Ok(reports)
    }

    /// Whether there are [damaged segments](Self::damaged_segments), as far as is known.
    pub fn is_damaged(&self) -> bool {
        self.tables.read().segments.iter().any(|slot| !slot.is_intact())
    }

    /// Segments of which something cannot be read.
    pub fn damaged_segments(&self) -> Vec<DamagedSegment> {
        let tables = self.tables.read();
        let damaged = tables.segments.iter().filter(|slot| !slot.is_intact());
        damaged.map(|slot| DamagedSegment { number: slot.meta().number, times: slot.meta().range }).collect()
    }

    /// Gives up these damaged segments once what they had has been taken in from another owner. Copies of the files are
    /// kept in `quarantine/`, as far as they can be read. Segments that are not damaged stay.
    pub fn give_up_damaged(&self, numbers: &[u64]) -> Result<(), MaintenanceError> {
        let _compacting = self.compacting.lock();
        let wanted = |slot: &SegmentSlot| numbers.contains(&slot.meta().number) && !slot.is_intact();
        let given_up: FxHashSet<u64> = self
            .tables
            .read()
            .segments
            .iter()
            .filter(|slot| wanted(slot))
            .map(|slot| slot.meta().number)
            .collect();
        if given_up.is_empty() {
            return Ok(());
        }
        let paths: Vec<_> = given_up.iter().map(|number| segment::file_path(&self.dir, *number)).collect();
        for path in &paths {
            if let Err(error) = wal::keep_copy(&*self.fs, &self.dir, path) {
                tracing::warn!(%error, "no copy of a damaged segment is kept");
            }
        }
        let log_floor = self.commit(|manifest| {
            manifest.segments.retain(|meta| !given_up.contains(&meta.number));
            manifest.log_floor
        })?;
        self.change_tables(log_floor, |tables| {
            let kept = tables.segments.iter().filter(|slot| !given_up.contains(&slot.meta().number));
            tables.segments = kept.cloned().collect();
        });
        paths.iter().for_each(|path| self.remove_obsolete(path));
        self.touch_blocked();
        // Deletes could not tell what they had left of these.
        self.retire_all_emptied()?;
        Ok(())
    }
}

impl ImportReport {
    fn refuse(&mut self, cells: u64, reason: Arc<str>) {
        self.refused += cells;
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

fn end_of(piece: &Piece) -> Cursor {
    let time = piece.rows.times.last().copied().unwrap_or(i64::MIN);
    Cursor { series: piece.key.to_string(), time }
}

/// About what it takes in memory.
fn size_of_piece(piece: &Piece) -> usize {
    let text = |column: &Column| match &column.values {
        Values::String(values) => values.iter().map(|text| text.len()).sum(),
        Values::Float(_) | Values::Integer(_) | Values::Unsigned(_) | Values::Boolean(_) => 0,
    };
    let columns = piece.rows.columns.iter().flatten();
    let texts: usize = columns.clone().map(text).sum();
    piece.key.len() + 16 * piece.fields.len() + texts + 8 * piece.rows.times.len() * (2 + columns.count())
}

/// Rows as they travel: only columns that have a value.
fn piece_of(key: &Arc<str>, fields: &[(Arc<str>, FieldType)], rows: Rows) -> Option<Piece> {
    let has_values =
        |column: &Option<Column>| column.as_ref().is_some_and(|column| column.count_values() > 0);
    let kept: Vec<bool> = rows.columns.iter().map(has_values).collect();
    if !kept.contains(&true) {
        return None;
    }
    let only = |index: usize| kept.get(index).copied().unwrap_or(false);
    let versions = match rows.versions {
        Versions::Cells(cells) => Versions::Cells(
            cells.into_iter().enumerate().filter(|(at, _)| only(*at)).map(|(_, it)| it).collect(),
        ),
        other @ (Versions::Uniform(_) | Versions::Rows(_)) => other,
    };
    let columns =
        rows.columns.into_iter().enumerate().filter(|(at, _)| only(*at)).map(|(_, it)| it).collect();
    let fields = fields.iter().enumerate().filter(|(at, _)| only(*at)).map(|(_, it)| it.clone()).collect();
    Some(Piece { key: Arc::clone(key), fields, rows: Rows { times: rows.times, columns, versions } })
}

/// Reads what is here of the cells of pieces, which come measurement by measurement.
struct LocalReader<'a> {
    snapshot: &'a Snapshot,
    latest: Option<Prepared<'a>>,
}

/// Fields of a measurement, and what reads them.
struct Prepared<'a> {
    measurement: Arc<str>,
    fields: Vec<(Arc<str>, FieldType)>,
    /// Why cells of a field can not be stored here: it has another type.
    conflicts: Arc<[Option<Arc<str>>]>,
    scanner: SeriesScanner<'a>,
}

impl LocalReader<'_> {
    /// Looks up the fields of a piece; of each, why it cannot be stored, if so.
    fn prepare(&mut self, piece: &Piece) -> Arc<[Option<Arc<str>>]> {
        let measurement = parse_measurement(&piece.key);
        let is_same = |it: &&Prepared<'_>| *it.measurement == *measurement && it.fields == piece.fields;
        if let Some(latest) = self.latest.as_ref().filter(is_same) {
            return Arc::clone(&latest.conflicts);
        }
        let (conflicts, ids) = {
            let index = self.snapshot.index.read();
            let conflict = |(name, kind): &(Arc<str>, FieldType)| {
                let found = index.find_layout(&measurement, std::iter::once((&**name, *kind)));
                found.err().map(|conflict| conflict.to_string().into())
            };
            let conflicts: Arc<[Option<Arc<str>>]> = piece.fields.iter().map(conflict).collect();
            let id = |((name, _), conflict): (&(Arc<str>, FieldType), &Option<Arc<str>>)| {
                index.find_field(&measurement, name).filter(|_| conflict.is_none())
            };
            let ids: Box<[Option<FieldId>]> = piece.fields.iter().zip(conflicts.iter()).map(id).collect();
            (conflicts, ids)
        };
        let scanner = self.snapshot.scanner_of(&measurement, ids);
        let (measurement, fields) = (Arc::from(&*measurement), piece.fields.clone());
        self.latest = Some(Prepared { measurement, fields, conflicts: Arc::clone(&conflicts), scanner });
        conflicts
    }

    /// Rows of the times of a piece that has been prepared for, with its columns.
    fn rows_like(&self, piece: &Piece) -> Result<Vec<Rows>, ReadError> {
        let series = self.snapshot.index.read().find_series(&piece.key);
        let series = series.filter(|id| id.0 < self.snapshot.bounds.series);
        match (&self.latest, series) {
            (Some(latest), Some(series)) => rows_in(&latest.scanner, series, range_of(&piece.rows)),
            _ => Ok(Vec::new()),
        }
    }
}

fn range_of(rows: &Rows) -> TimeRange {
    match (rows.times.first(), rows.times.last()) {
        (Some(first), Some(last)) => TimeRange::new(*first, *last),
        _ => TimeRange::new(0, -1),
    }
}

fn rows_in(scanner: &SeriesScanner<'_>, series: SeriesId, times: TimeRange) -> Result<Vec<Rows>, ReadError> {
    let mut scan = scanner.scan_of(series, times, Order::Ascending)?;
    let mut rows = Vec::new();
    while let Some(more) = scan.next_versioned()? {
        rows.push(more);
    }
    Ok(rows)
}

/// Adds those cells of a piece that win over what is here, by their versions.
fn take_winners(
    piece: &Piece,
    (local, conflicts): (&[Rows], &[Option<Arc<str>>]),
    winners: &mut BTreeMap<Version, PointBatch<'static>>,
    report: &mut ImportReport,
) {
    let rows = &piece.rows;
    let mut here = local.iter().flat_map(|rows| (0..rows.times.len()).map(move |row| (rows, row))).peekable();
    let mut fields: Vec<(Version, &str, FieldRef<'_>)> = Vec::new();
    for (row, time) in rows.times.iter().enumerate() {
        while here.next_if(|(rows, row)| rows.times[*row] < *time).is_some() {}
        let known = here.peek().filter(|(rows, row)| rows.times[*row] == *time);
        fields.clear();
        for (index, ((name, _), column)) in piece.fields.iter().zip(&rows.columns).enumerate() {
            let Some(value) = column.as_ref().and_then(|column| value_of(column, row)) else { continue };
            if let Some(reason) = &conflicts[index] {
                report.refuse(1, Arc::clone(reason));
                continue;
            }
            let version = rows.versions.get(index, row);
            let known = known.and_then(|(rows, row)| {
                let value = value_of(rows.columns.get(index)?.as_ref()?, *row)?;
                Some((rows.versions.get(index, *row), value))
            });
            match known {
                Some((here, known)) if !wins((version, value), (here, known)) => report.known += 1,
                Some(_) | None => fields.push((version, name, value)),
            }
        }
        fields.sort_by_key(|(version, ..)| *version);
        for same in fields.chunk_by(|one, other| one.0 == other.0) {
            let Some((version, ..)) = same.first() else { continue };
            let points = winners.entry(*version).or_default();
            let cells = same.iter().map(|(_, name, value)| (*name, *value));
            match points.push(&piece.key, *time, cells) {
                Ok(()) => report.stored += same.len() as u64,
                Err(error) => report.refuse(same.len() as u64, error.to_string().into()),
            }
        }
    }
}

fn value_of(column: &Column, row: usize) -> Option<FieldRef<'_>> {
    column.is_valid(row).then(|| match &column.values {
        Values::Float(values) => FieldRef::Float(values[row]),
        Values::Integer(values) => FieldRef::Integer(values[row]),
        Values::Unsigned(values) => FieldRef::Unsigned(values[row]),
        Values::String(values) => FieldRef::String(&values[row]),
        Values::Boolean(values) => FieldRef::Boolean(values[row]),
    })
}

/// Whether a cell that comes wins over the one that is here. A batch has one version, so that equal versions with other
/// values should not be; if they are, all owners have to choose the same all the same.
fn wins(coming: (Version, FieldRef<'_>), here: (Version, FieldRef<'_>)) -> bool {
    let rank = |value: FieldRef<'_>| -> (u64, Vec<u8>) {
        match value {
            FieldRef::Float(value) => (value.to_bits(), Vec::new()),
            FieldRef::Integer(value) => (value as u64, Vec::new()),
            FieldRef::Unsigned(value) => (value, Vec::new()),
            FieldRef::Boolean(value) => (u64::from(value), Vec::new()),
            FieldRef::String(value) => (0, value.as_bytes().to_vec()),
        }
    };
    coming.0 > here.0 || coming.0 == here.0 && rank(coming.1) > rank(here.1)
}
