//! Taking points in: numbers for series and fields, columns, log, memtable, durability.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use parking_lot::RwLockReadGuard;
use rustc_hash::FxHashMap;
use skywatch_model::{
    FieldRef, FieldType, Version,
    line::{PointBatch, PointRef},
    series::parse_key,
};

use super::{
    Shard,
    forget::Origin,
    late::Sifted,
    types::{Claim, Contested, other_type},
    work::add,
};
use crate::{
    WriteError,
    index::Index,
    rows::{Buffer, Layout, RowSet, SeriesId},
    wal::{Encoder, FieldDefinition, Position, SeriesDefinition},
};

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteReport {
    /// Points stored.
    pub written: u64,
    /// Points refused, in order.
    pub rejected: Vec<Rejected>,
    /// Fields of another type gave way to older points: what was refused in their favour before may be lacking now.
    pub gave_way: bool,
}

/// A point that was refused; its neighbours were not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its position in the batch.
    pub point: u32,
    /// Why, in InfluxDB's words.
    pub reason: Arc<str>,
}

/// Buffers of one write, kept for the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// By the batch's series ordinals.
    series: Vec<Option<SeriesId>>,
    /// By the batch's shape ordinals.
    shapes: Vec<Shape>,
    /// Why series, by ordinal, are not stored; hardly ever any.
    refused_series: FxHashMap<u32, Arc<str>>,
    rows: RowSet,
    encoder: Encoder,
}

/// What the shard knows of a shape of the batch.
#[derive(Debug, Clone)]
enum Shape {
    /// Not looked at, or it has fields new to the shard.
    Unknown,
    Known(Arc<Layout>),
    /// No point of this shape can be stored; why.
    Refused(Arc<str>),
}

/// A name that no field and no tag may have, since in queries it means the timestamp. As in InfluxDB, such a field
/// is left out beside others; alone, and as a tag, it refuses the point.
const RESERVED_NAME: &str = "time";
/// How a tag of that name stands in a series key.
const RESERVED_TAG: &[u8] = b",time=";

/// Buffers kept; more writers than this at once allocate theirs anew.
const KEPT_SCRATCH: usize = 8;

impl Shard {
    /// Stores `points` (positions in `batch`), all with `version`. Returns when they are durable as far as the
    /// store's [`Durability`](crate::Durability) promises. Points that do not fit the shard are reported, not errors.
    pub fn write(
        &self,
        batch: &PointBatch<'_>,
        points: &[u32],
        version: Version,
    ) -> Result<WriteReport, WriteError> {
        let (report, position) = self.write_unsynced(batch, points, version, &Origin::OPERATION)?;
        self.wait_for_log(position, points.len())?;
        self.counters.written(&report);
        Ok(report)
    }

    /// Which of `points` (positions in `batch`) would be refused now, and why. Nothing is stored; what is new to the shard
    /// is not entered.
    pub fn refuse(&self, batch: &PointBatch<'_>, points: &[u32]) -> Vec<Rejected> {
        let index = self.index.read();
        let mut shapes = vec![None; batch.shape_count()];
        let mut series = vec![None; batch.series_count()];
        let reason = |at: &u32| {
            let point = batch.point(*at as usize);
            if !self.range.contains(point.time()) {
                return Some(self.outside(point.time()));
            }
            let shape =
                shapes[point.shape_ordinal() as usize].get_or_insert_with(|| find_shape(&index, point));
            if let Shape::Refused(reason) = shape {
                return Some(Arc::clone(reason));
            }
            series[point.series_ordinal() as usize].get_or_insert_with(|| refuse_series(point)).clone()
        };
        refused_by(points, reason)
    }

    /// Makes durable all that was written to the shard, whatever its writers were promised.
    pub fn sync_log(&self) -> Result<(), WriteError> {
        self.log.sync()
    }

    /// As [`Self::write`], up to where the log has to be durable for it.
    pub(super) fn write_unsynced(
        &self,
        batch: &PointBatch<'_>,
        points: &[u32],
        version: Version,
        origin: &Origin,
    ) -> Result<(WriteReport, Option<Position>), WriteError> {
        self.check_open()?;
        self.log.check_poison()?;
        let share = points.len() as u64 * batch.size_bytes() as u64 / batch.len().max(1) as u64;
        let _admitted = self.shared.admit(&self.options, share)?;
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let result = self.write_with(&mut scratch, (batch, points), version, origin);
        if result.is_err() {
            self.counters.failed(points.len());
        }
        let mut kept = self.scratch.lock();
        if kept.len() < KEPT_SCRATCH {
            kept.push(scratch);
        }
        result
    }

    /// Waits until so many points are durable.
    pub(super) fn wait_for_log(&self, position: Option<Position>, points: usize) -> Result<(), WriteError> {
        let waited = position.map_or(Ok(()), |position| self.log.wait(position));
        waited.inspect_err(|_| self.counters.failed(points))
    }

    fn write_with(
        &self,
        scratch: &mut Scratch,
        (batch, points): (&PointBatch<'_>, &[u32]),
        version: Version,
        origin: &Origin,
    ) -> Result<(WriteReport, Option<Position>), WriteError> {
        self.admit_series(batch, points)?;
        // Numbers are found inside the gate, since a delete takes them away.
        let mut open = self.enter(version, origin)?;
        let mut sifted = self.sift(batch, points, version);
        let living = sifted.as_ref().map_or(points, |sifted| sifted.living.as_slice());
        let known = self.resolve(scratch, batch, living);
        let mut gave_way = false;
        let contested = self.contested(&scratch.shapes, (batch, living), (version, origin), known);
        if !contested.is_empty() {
            drop(open);
            gave_way = self.give_way(&contested)?;
            open = self.enter(version, origin)?;
            sifted = self.sift(batch, points, version);
            self.resolve(scratch, batch, sifted.as_ref().map_or(points, |sifted| sifted.living.as_slice()));
        }
        let _open = open;
        let living = sifted.as_ref().map_or(points, |sifted| sifted.living.as_slice());
        let mut report = WriteReport { gave_way, ..self.fill(scratch, batch, living, version) };
        if let Some(sifted) = &sifted {
            self.define_late(batch, sifted);
            report.written += sifted.late;
        }
        if scratch.rows.is_empty() {
            // What deleted them has to be durable before they count as taken.
            return Ok((report, sifted.map(|_| self.log.end())));
        }
        let record = scratch.encoder.rows(&scratch.rows)?;
        let position = self.log.append(record)?;
        self.insert(&scratch.rows);
        Ok((report, Some(position)))
    }

    /// Passes the gate.
    fn enter(&self, version: Version, origin: &Origin) -> Result<RwLockReadGuard<'_, ()>, WriteError> {
        let open = self.gate.read();
        self.check_open()?;
        self.check_settled(version, origin)?;
        Ok(open)
    }

    /// Fields below number `known` that points have in another type, where the older type counts and that of the points may be
    /// the older one.
    fn contested(
        &self,
        shapes: &[Shape],
        (batch, points): (&PointBatch<'_>, &[u32]),
        (version, origin): (Version, &Origin),
        known: u32,
    ) -> Contested {
        let mut contested = Contested::new();
        let is_refused = |shape: &Shape| matches!(shape, Shape::Refused(_));
        if !self.keep_versions() || !origin.is_by_version() || !shapes.iter().any(is_refused) {
            return contested;
        }
        let index = self.index.read();
        let refused = points.iter().map(|point| batch.point(*point as usize)).filter(|point| {
            is_refused(&shapes[point.shape_ordinal() as usize]) && self.range.contains(point.time())
        });
        for point in refused {
            let others = stored_fields(point).filter_map(|(name, kind)| {
                Some((other_type(&index, (point.measurement(), name), kind)?, kind))
            });
            let young = others.filter(|(id, _)| id.0 < known && !self.has_known_elder(*id, version));
            contested
                .extend(young.map(|(id, field_type)| (id, Claim { version, wins_ties: false, field_type })));
        }
        contested
    }

    /// Finds, or gives, numbers for every series and field of the points; returns the first number that no field had before.
    fn resolve(&self, scratch: &mut Scratch, batch: &PointBatch<'_>, points: &[u32]) -> u32 {
        let Scratch { series, shapes, refused_series, .. } = scratch;
        refused_series.clear();
        series.clear();
        series.resize(batch.series_count(), None);
        shapes.clear();
        shapes.resize(batch.shape_count(), Shape::Unknown);
        let mut complete = true;
        let known;
        {
            let index = self.index.read();
            known = index.bounds().fields;
            for point in points.iter().map(|point| batch.point(*point as usize)) {
                let shape = &mut shapes[point.shape_ordinal() as usize];
                if matches!(shape, Shape::Unknown) {
                    *shape = find_shape(&index, point);
                    complete &= !matches!(shape, Shape::Unknown);
                }
                let id = &mut series[point.series_ordinal() as usize];
                if id.is_none() {
                    *id = index.find_series(point.series_key());
                    complete &= id.is_some();
                }
            }
        }
        if !complete {
            self.define(scratch, batch, points);
        }
        known
    }

    /// Holds back a write with new series while memory for them is full. Outside the gate, since a flush, which frees it,
    /// has to pass.
    fn admit_series(&self, batch: &PointBatch<'_>, points: &[u32]) -> Result<(), WriteError> {
        if self.shared.has_room_for_series(&self.options) {
            return Ok(());
        }
        let is_new = {
            let index = self.index.read();
            points.iter().any(|point| index.find_series(batch.point(*point as usize).series_key()).is_none())
        };
        if is_new { self.shared.wait_for_series(&self.options) } else { Ok(()) }
    }

    /// Enters what is new, and queues its definitions for the log before anybody else can use the numbers.
    fn define(&self, scratch: &mut Scratch, batch: &PointBatch<'_>, points: &[u32]) {
        let Scratch { series, shapes, refused_series, .. } = scratch;
        let wanted = series.iter().filter(|id| id.is_none()).count() as u64;
        let mut admission = self.series_limit.get().map(|limit| limit.begin(&self.index, wanted));
        let mut index = self.index.write();
        let mut new_series: Vec<SeriesDefinition> = Vec::new();
        let mut new_fields: Vec<FieldDefinition> = Vec::new();
        for point in points.iter().map(|point| batch.point(*point as usize)) {
            if !self.range.contains(point.time()) {
                continue;
            }
            let shape = &mut shapes[point.shape_ordinal() as usize];
            if matches!(shape, Shape::Unknown) {
                *shape = define_shape(&mut index, point, &mut new_fields);
            }
            let id = &mut series[point.series_ordinal() as usize];
            if id.is_some()
                || !matches!(shape, Shape::Known(_))
                || refused_series.contains_key(&point.series_ordinal())
            {
                continue;
            }
            let key = point.series_key();
            *id = index.find_series(key);
            if id.is_some() {
                continue;
            }
            let refused = refuse_series(point).or_else(|| {
                let refused = admission.as_mut()?.admit(&index, key).err()?;
                Some(refused.to_string().into())
            });
            if let Some(reason) = refused {
                refused_series.insert(point.series_ordinal(), reason);
                continue;
            }
            let definition = index.add_series(key);
            *id = Some(definition.id);
            new_series.push(definition);
        }
        self.index_memory.lock().set(index.memory_bytes());
        if !new_series.is_empty() || !new_fields.is_empty() {
            add(&self.counters.fields_created, new_fields.len() as u64);
            self.log.define(new_series, new_fields);
        }
    }

    /// Enters fields that points have which were deleted before they came, of measurements that are there.
    fn define_late(&self, batch: &PointBatch<'_>, sifted: &Sifted) {
        let mut index = self.index.write();
        let mut new_fields: Vec<FieldDefinition> = Vec::new();
        for at in sifted.shapes.values() {
            let point = batch.point(*at as usize);
            if !index.field_ids(point.measurement()).is_empty() {
                define_shape(&mut index, point, &mut new_fields);
            }
        }
        if !new_fields.is_empty() {
            add(&self.counters.fields_created, new_fields.len() as u64);
            self.log.define(Vec::new(), new_fields);
        }
    }

    /// Regroups the points into columns.
    fn fill(
        &self,
        scratch: &mut Scratch,
        batch: &PointBatch<'_>,
        points: &[u32],
        version: Version,
    ) -> WriteReport {
        let Scratch { series, shapes, refused_series, rows, .. } = scratch;
        rows.clear();
        rows.version = version;
        let mut report = WriteReport::default();
        for &index in points {
            let point = batch.point(index as usize);
            if !self.range.contains(point.time()) {
                let reason = self.outside(point.time());
                report.rejected.push(Rejected { point: index, reason });
                continue;
            }
            match (&shapes[point.shape_ordinal() as usize], series[point.series_ordinal() as usize]) {
                (Shape::Known(layout), Some(id)) => push_row(rows, layout, id, point),
                (Shape::Refused(reason), _) => {
                    report.rejected.push(Rejected { point: index, reason: Arc::clone(reason) });
                }
                (Shape::Known(_), None) => {
                    let refused = refused_series.get(&point.series_ordinal());
                    let reason = refused.expect("a series without a number was refused");
                    report.rejected.push(Rejected { point: index, reason: Arc::clone(reason) });
                }
                (Shape::Unknown, _) => unreachable!("a shape was left unresolved"),
            }
        }
        report.written = rows.len() as u64;
        report
    }

    fn outside(&self, time: i64) -> Arc<str> {
        format!("time {time} is outside the shard's range {} - {}", self.range.start, self.range.end).into()
    }

    /// Puts rows into the active memtable. Called with the gate held.
    pub(super) fn insert(&self, rows: &RowSet) {
        let now = Instant::now();
        let (table, was_written) = {
            let active = &self.tables.read().active;
            (Arc::clone(&active.table), active.first_write.is_some())
        };
        // Outside the lock, since it may sort a chunk; the gate keeps the table the active one.
        table.insert(rows);
        self.touch_rows(rows);
        if !was_written {
            self.tables.write().active.first_write.get_or_insert(now);
        }
        let since_open = now.saturating_duration_since(self.opened).as_millis() as u64;
        self.last_write_ms.store(since_open, Ordering::Relaxed);
        if table.size_bytes() >= self.options.flush_bytes {
            self.shared.wake_flusher();
        }
    }
}

/// Which of `points` (positions in `batch`) every shard would refuse, and why.
pub fn refuse_points(batch: &PointBatch<'_>, points: &[u32]) -> Vec<Rejected> {
    let mut shapes = vec![None; batch.shape_count()];
    let mut series = vec![None; batch.series_count()];
    let reason = |at: &u32| {
        let point = batch.point(*at as usize);
        let shape: &Option<Arc<str>> =
            shapes[point.shape_ordinal() as usize].get_or_insert_with(|| match refuse_shape(point) {
                Some(Shape::Refused(reason)) => Some(reason),
                Some(Shape::Unknown | Shape::Known(_)) | None => None,
            });
        shape.clone().or_else(|| {
            series[point.series_ordinal() as usize].get_or_insert_with(|| refuse_series(point)).clone()
        })
    };
    refused_by(points, reason)
}

fn refused_by(points: &[u32], mut reason: impl FnMut(&u32) -> Option<Arc<str>>) -> Vec<Rejected> {
    points.iter().filter_map(|at| Some(Rejected { point: *at, reason: reason(at)? })).collect()
}

/// Fields that are stored: all but the one with the reserved name.
fn stored_fields(point: PointRef<'_>) -> impl Iterator<Item = (&str, FieldType)> {
    point.shape().fields().filter(|(name, _)| *name != RESERVED_NAME)
}

/// Why points of this series can never be stored, if so.
fn refuse_series(point: PointRef<'_>) -> Option<Arc<str>> {
    // Hardly any key has the text, and fewer still the tag.
    memchr::memmem::find(point.series_key().as_bytes(), RESERVED_TAG)?;
    let (measurement, tags) = parse_key(point.series_key());
    tags.iter().any(|(key, _)| key == RESERVED_NAME).then(|| {
        format!("invalid tag key: input tag \"{RESERVED_NAME}\" on measurement \"{measurement}\" is invalid")
            .into()
    })
}

/// Why points of this shape can never be stored, if so.
fn refuse_shape(point: PointRef<'_>) -> Option<Shape> {
    let measurement = point.measurement();
    stored_fields(point).next().is_none().then(|| {
        Shape::Refused(
            format!("invalid field name: input field \"{RESERVED_NAME}\" on measurement \"{measurement}\" is invalid")
                .into(),
        )
    })
}

fn find_shape(index: &Index, point: PointRef<'_>) -> Shape {
    if let Some(refused) = refuse_shape(point) {
        return refused;
    }
    match index.find_layout(point.measurement(), stored_fields(point)) {
        Err(conflict) => Shape::Refused(conflict.to_string().into()),
        Ok(fields) => {
            let layout = fields.and_then(|fields| index.interned_layout(&fields).cloned());
            layout.map_or(Shape::Unknown, Shape::Known)
        }
    }
}

fn define_shape(index: &mut Index, point: PointRef<'_>, new_fields: &mut Vec<FieldDefinition>) -> Shape {
    let measurement = point.measurement();
    if let Err(conflict) = index.find_layout(measurement, stored_fields(point)) {
        return Shape::Refused(conflict.to_string().into());
    }
    let mut ids = Vec::new();
    for (name, field_type) in stored_fields(point) {
        let known = index.find_field(measurement, name);
        ids.push(known.unwrap_or_else(|| {
            let definition = index.add_field(measurement, name, field_type);
            let id = definition.id;
            new_fields.push(definition);
            id
        }));
    }
    Shape::Known(index.intern_layout(ids))
}

#[inline]
fn push_row(rows: &mut RowSet, layout: &Arc<Layout>, series: SeriesId, point: PointRef<'_>) {
    let (number, group) = rows.group_for(layout);
    group.series.push(series);
    group.times.push(point.time());
    if group.columns.len() == point.values().len() {
        push_values(&mut group.columns, point.values());
    } else {
        let stored = point.fields().filter(|(name, _)| *name != RESERVED_NAME);
        push_values(&mut group.columns, stored.map(|(_, value)| value));
    }
    rows.add_rows(number, 1);
}

/// Appends a row's values, one to each column.
#[inline]
fn push_values<'v>(columns: &mut [Buffer], values: impl Iterator<Item = FieldRef<'v>>) {
    for (column, value) in columns.iter_mut().zip(values) {
        match (column, value) {
            (Buffer::Float(values), FieldRef::Float(value)) => values.push(value),
            (Buffer::Integer(values), FieldRef::Integer(value)) => values.push(value),
            (Buffer::Unsigned(values), FieldRef::Unsigned(value)) => values.push(value),
            (Buffer::String(values), FieldRef::String(value)) => values.push(value),
            (Buffer::Boolean(values), FieldRef::Boolean(value)) => values.push(value),
            (column, value) => {
                let found: FieldType = value.field_type();
                unreachable!("a {} in a column of another type: {column:?}", found.name())
            }
        }
    }
}
