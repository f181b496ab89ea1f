//! SELECT ... INTO: rows become points, which are written in batches while the query runs.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use skywatch_influxql::{Expr, Fill, Select, Target};
use skywatch_model::{
    FieldRef, FieldValue,
    line::{PointBatch, PushError},
    series,
};

use super::{Context, integers, select, table};
use crate::{BackendError, OutputColumn, QueryError, ResultSeries, exec::Usage, executor::Sender, plan};

/// Points of a batch, as in InfluxDB.
const BATCH_POINTS: usize = 10_000;
/// A batch of long strings ends earlier.
const BATCH_BYTES: usize = 8 << 20;
/// Steps in which a batch counts against the query's memory.
const HELD_STEP_BYTES: usize = 64 << 10;
/// How long to wait before there may be room for a batch again.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// Runs a statement whose names are in full; answers how many points it wrote.
pub(super) fn run(context: &Context<'_>, select: &Select, sender: &mut Sender<'_>) -> Result<(), QueryError> {
    let Some(target) = &select.into else { return select::run(context, select, sender) };
    let mut dense = select.clone();
    let has_windows = dense.group_by.iter().any(|dimension| matches!(dimension, Expr::Call(_)));
    if has_windows && dense.fill == Fill::Null {
        // As in InfluxDB a window without rows is nothing to write, not even a count of zero.
        dense.fill = Fill::None;
    }
    let usage = context.usage();
    let mut writer = Writer::new(context, &usage, target, tag_columns(select));
    select::each_series(context, &dense, BATCH_POINTS, &usage, &mut |series| writer.series(&series))?;
    let written = writer.finish()?;
    let values = vec![OutputColumn::Time(vec![0]), integers([written])];
    sender.series(table("result", &["time", "written"], values))
}

/// The tags among the arguments of `top` and `bottom`: shown as columns, they are written as tags.
fn tag_columns(select: &Select) -> Vec<String> {
    let shown = select.fields.iter().flat_map(|field| plan::ranked_tags(&field.expr));
    let name = |tag| match tag {
        Expr::VarRef(tag) => Some(tag.name),
        _ => None,
    };
    shown.filter_map(|(tag, _)| name(tag)).collect()
}

/// Gathers rows and writes them.
struct Writer<'a> {
    context: &'a Context<'a>,
    usage: &'a Usage<'a>,
    target: &'a Target,
    /// Columns that stay tags.
    tag_columns: Vec<String>,
    batch: PointBatch<'static>,
    /// What the batch counts for.
    held_bytes: usize,
    written: i64,
}

impl<'a> Writer<'a> {
    fn new(
        context: &'a Context<'a>,
        usage: &'a Usage<'a>,
        target: &'a Target,
        tag_columns: Vec<String>,
    ) -> Self {
        Self { context, usage, target, tag_columns, batch: PointBatch::new(), held_bytes: 0, written: 0 }
    }

    /// Adds the rows of a series: its tags stay tags, its columns become fields.
    fn series(&mut self, series: &ResultSeries) -> Result<(), QueryError> {
        let measurement = self.target.measurement.as_deref().unwrap_or(&series.name);
        let mut times: &[i64] = &[];
        let mut fields: Vec<(&str, &OutputColumn)> = Vec::new();
        let mut tag_columns: Vec<(&str, &OutputColumn)> = Vec::new();
        for (name, values) in series.columns.iter().zip(&series.values) {
            match values {
                OutputColumn::Time(values) => times = values,
                values if self.tag_columns.iter().any(|tag| **tag == **name) => {
                    tag_columns.push((name, values));
                }
                values => fields.push((name, values)),
            }
        }
        let shared = series::make_key(measurement, series.tags.iter().map(|(key, value)| (&**key, &**value)));
        for (row, time) in times.iter().enumerate() {
            if tag_columns.is_empty() {
                self.row(&shared, *time, row, &fields)?;
                continue;
            }
            let own = tag_columns.iter().filter_map(|(name, column)| match column.get(row) {
                Some(FieldValue::String(value)) => Some((*name, value)),
                _ => None,
            });
            let grouped = series.tags.iter().map(|(key, value)| (&**key, Arc::clone(value)));
            self.row(&series::make_key(measurement, grouped.chain(own)), *time, row, &fields)?;
        }
        Ok(())
    }

    /// Adds a row; one without values is none.
    fn row(
        &mut self,
        key: &str,
        time: i64,
        row: usize,
        fields: &[(&str, &OutputColumn)],
    ) -> Result<(), QueryError> {
        let values: Vec<_> =
            fields.iter().filter_map(|(name, column)| Some((*name, column.get(row)?))).collect();
        let storable = values
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .filter(|(_, value)| !matches!(value, FieldRef::Float(value) if !value.is_finite()));
        match self.batch.push(key, time, storable) {
            Ok(()) => self.written += 1,
            Err(PushError::NoFields) => return Ok(()),
            Err(error) => {
                return Err(QueryError::invalid(format!("cannot write to {}: {error}", self.target)));
            }
        }
        self.hold()?;
        if self.batch.len() == BATCH_POINTS || self.held_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Counts what the batch has grown by.
    fn hold(&mut self) -> Result<(), QueryError> {
        let needed = self.batch.size_bytes().next_multiple_of(HELD_STEP_BYTES);
        if needed > self.held_bytes {
            self.usage.hold(needed - self.held_bytes)?;
            self.held_bytes = needed;
        }
        Ok(())
    }

    /// Writes the batch. What was written before stays written, whatever becomes of it.
    fn flush(&mut self) -> Result<(), QueryError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (database, policy) = (self.target.database.as_deref(), self.target.retention_policy.as_deref());
        let deadline = Instant::now() + self.context.limits.write_timeout;
        loop {
            self.usage.cancel.check()?;
            let written =
                self.context.backend.write(database.unwrap_or(""), policy.unwrap_or(""), &self.batch);
            match written {
                Err(BackendError::Overloaded(_)) if Instant::now() < deadline => thread::sleep(RETRY_EVERY),
                outcome => break outcome?,
            }
        }
        self.batch.clear();
        self.usage.release(std::mem::take(&mut self.held_bytes));
        Ok(())
    }

    /// Writes what is left; how many points it were.
    fn finish(mut self) -> Result<i64, QueryError> {
        self.flush()?;
        Ok(self.written)
    }
}
