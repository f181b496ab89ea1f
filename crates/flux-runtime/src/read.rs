//! What the storage is asked for: `from`, and those steps after it that the storage can do itself.

mod grouped;
mod predicate;
mod pushdown;
mod windows;

use std::sync::Arc;

use skywatch_flux::Span;

pub(crate) use grouped::{GroupedRead, Grouping};
pub use predicate::{Comparison, Predicate, Subject};
pub(crate) use pushdown::{Pushed, push_down};
pub(crate) use windows::{WindowTime, WindowedRead};

use crate::{
    Column, ColumnBuilder, Context, Error, GroupKey, KeyColumn, Kind, ReadRequest, Reduction,
    ReductionFunction, Series, Table, Tables, Value, Values, column::Cells,
};

/// A read in the making.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// Where `from` stands.
    pub(crate) span: Span,
    /// `database`, or `database/policy`.
    pub(crate) bucket: Arc<str>,
    /// First nanosecond, and the first after the last; without them nothing is read.
    pub(crate) range: Option<(i64, i64)>,
    /// Which series and points.
    pub(crate) predicate: Predicate,
    /// What is made of each series' points.
    pub(crate) reduction: Option<Reduced>,
}

/// What is made of each series' points.
#[derive(Debug, Clone)]
pub(crate) enum Reduced {
    /// One value of all.
    Whole(ReductionFunction),
    /// One value of those of each window.
    Windowed(WindowedRead),
}

impl Read {
    /// Everything that a bucket holds.
    pub(crate) const fn new(span: Span, bucket: Arc<str>) -> Self {
        Self { span, bucket, range: None, predicate: Predicate::All, reduction: None }
    }

    /// Only what is within a range too. `None` if values were made already.
    pub(crate) fn within(&self, start_ns: i64, stop_ns: i64) -> Option<Self> {
        // A second range moves `_start` and `_stop` in ways that a step of its own does as well.
        let fits = self.reduction.is_none() && self.range.is_none();
        fits.then(|| Self { range: Some((start_ns, stop_ns)), ..self.clone() })
    }

    /// Only where a condition holds too. `None` if values were made already.
    pub(crate) fn filtered(&self, predicate: Predicate) -> Option<Self> {
        let fits = self.reduction.is_none() && self.range.is_some();
        fits.then(|| Self { predicate: self.predicate.clone().and(predicate), ..self.clone() })
    }

    /// One value of each series. `None` if values were made already.
    pub(crate) fn reduced(&self, reduction: Reduced) -> Option<Self> {
        let fits = self.reduction.is_none() && self.range.is_some();
        fits.then(|| Self { reduction: Some(reduction), ..self.clone() })
    }

    /// Asks the storage.
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Tables, Error> {
        let Some((start_ns, stop_ns)) = self.range else {
            let text = format!(
                "from: cannot submit unbounded read to \"{}\"; try bounding 'from' with a call to 'range'",
                self.bucket
            );
            return Err(Error::at(self.span, text));
        };
        let reduction = self.reduction.as_ref().map(|reduced| match reduced {
            Reduced::Whole(function) => Reduction { function: *function, windows: None },
            Reduced::Windowed(windowed) => windowed.reduction(),
        });
        let request = ReadRequest {
            bucket: Arc::clone(&self.bucket),
            start_ns,
            stop_ns,
            predicate: self.predicate.clone(),
            reduction,
        };
        let series = context.storage().read(&request)?;
        let mut tables: Tables = Vec::with_capacity(series.len());
        for series in series {
            context.check()?;
            tables.push(self.table(context, series, start_ns, stop_ns)?);
        }
        tables.sort_by(|left, right| left.key().cmp(right.key()));
        Ok(tables)
    }

    fn table(
        &self,
        context: &Context<'_>,
        series: Series,
        start_ns: i64,
        stop_ns: i64,
    ) -> Result<Table, Error> {
        let key = key_of(&series, start_ns, stop_ns);
        let value = series.values.renamed("_value".into());
        let times = Column::new("_time".into(), Values::Time(Cells::all(series.times)));
        Ok(match &self.reduction {
            None => with_rows(key, [times, value]),
            Some(Reduced::Whole(function)) if function.selects() => with_rows(key, [times, value]),
            Some(Reduced::Whole(_)) => {
                let mut columns = key.columns(value.rows());
                columns.push(value);
                Table::new(key, columns)
            }
            Some(Reduced::Windowed(windowed)) => {
                let filled = windowed.fill(context, &times, &value, (start_ns, stop_ns))?;
                with_rows(key, filled)
            }
        })
    }
}

/// `_start` and `_stop`, the cells, then field, measurement and tags by name: as InfluxDB orders them.
fn with_rows(key: GroupKey, cells: impl IntoIterator<Item = Column>) -> Table {
    let mut cells = cells.into_iter().peekable();
    let rows = cells.peek().map_or(0, Column::rows);
    let mut columns = key.columns(rows);
    let bounds = columns.len().min(2);
    columns.splice(bounds..bounds, cells);
    Table::new(key, columns)
}

fn key_of(series: &Series, start_ns: i64, stop_ns: i64) -> GroupKey {
    let text = |label: &Arc<str>, value: &Arc<str>| KeyColumn {
        label: Arc::clone(label),
        kind: Kind::String,
        value: Value::String(Arc::clone(value)),
    };
    let time =
        |label: &str, time| KeyColumn { label: label.into(), kind: Kind::Time, value: Value::Time(time) };
    let mut names =
        vec![text(&"_field".into(), &series.field), text(&"_measurement".into(), &series.measurement)];
    names.extend(series.tags.iter().map(|(key, value)| text(key, value)));
    names.sort_by(|left, right| left.label.cmp(&right.label));
    let mut members = vec![time("_start", start_ns), time("_stop", stop_ns)];
    members.append(&mut names);
    GroupKey::new(members)
}

impl ReductionFunction {
    /// Whether it chooses one of the points.
    pub(crate) const fn selects(self) -> bool {
        matches!(self, Self::Min | Self::Max | Self::First | Self::Last)
    }
}

/// A column of times that are all there.
pub(crate) fn times_column(label: &str, times: Vec<i64>) -> Column {
    Column::new(label.into(), Values::Time(Cells::all(times)))
}

/// Cells of one type under a label, from values known to be of it or null.
pub(crate) fn column_of(label: &str, kind: Kind, values: impl IntoIterator<Item = Value>) -> Column {
    let mut column = ColumnBuilder::new(label.into(), kind);
    for value in values {
        if column.push(value).is_err() {
            column.push_null();
        }
    }
    column.finish()
}
