//! Rows of a SELECT as series of Flux: each field by itself, rows without its value left out.

use std::sync::Arc;

use skywatch_flux_runtime::{Cells, Column, Series, Values};
use skywatch_model::{Column as Cell, FieldValue, Values as FieldValues};
use skywatch_query::{OutputColumn, ResultSeries};
use skywatch_storage::{Exhausted, Reservation};

/// Takes the pieces of one SELECT after another.
pub(super) struct Gathered {
    series: Vec<Series>,
    /// Of the series at hand, one for each field.
    open: Vec<Growing>,
    held: Reservation,
    bytes: u64,
}

/// A field of the series at hand.
struct Growing {
    measurement: Arc<str>,
    field: Arc<str>,
    tags: Vec<(Arc<str>, Arc<str>)>,
    times: Vec<i64>,
    values: Option<Values>,
}

impl Gathered {
    pub(super) const fn new(held: Reservation) -> Self {
        Self { series: Vec::new(), open: Vec::new(), held, bytes: 0 }
    }

    /// A piece of a series; its columns, after the time, are of `fields`.
    pub(super) fn take(
        &mut self,
        measurement: &Arc<str>,
        fields: &[Arc<str>],
        piece: &ResultSeries,
    ) -> Result<(), Exhausted> {
        if self.open.is_empty() {
            let tags = piece.tags.iter().filter(|(_, value)| !value.is_empty()).cloned().collect::<Vec<_>>();
            self.open.extend(fields.iter().map(|field| Growing {
                measurement: Arc::clone(measurement),
                field: Arc::clone(field),
                tags: tags.clone(),
                times: Vec::new(),
                values: None,
            }));
        }
        if let Some((OutputColumn::Time(times), columns)) = piece.values.split_first() {
            for (growing, column) in self.open.iter_mut().zip(columns) {
                let before = growing.times.len();
                growing.append(times, column);
                let added = growing.times.len() - before;
                self.bytes += (added * growing.value_bytes()) as u64;
            }
            self.held.grow_to(self.bytes)?;
        }
        if !piece.partial {
            self.close();
        }
        Ok(())
    }

    /// Whatever was taken is complete.
    pub(super) fn close(&mut self) {
        self.series.extend(self.open.drain(..).filter_map(Growing::finish));
    }

    pub(super) fn into_series(mut self) -> Vec<Series> {
        self.close();
        self.series
    }
}

impl Growing {
    const fn value_bytes(&self) -> usize {
        const TIME_BYTES: usize = 8;
        TIME_BYTES
            + match &self.values {
                Some(Values::Bool(_)) => 1,
                Some(Values::String(_)) => 48,
                _ => 8,
            }
    }

    fn append(&mut self, times: &[i64], column: &OutputColumn) {
        match column {
            OutputColumn::Values(Cell { values, valid }) => {
                let has = |row: usize| valid.as_ref().is_none_or(|valid| valid.get(row));
                let rows = times.len();
                let all = (0..rows).all(has);
                match &mut self.times {
                    known if all => known.extend_from_slice(times),
                    known => known.extend((0..rows).filter(|&row| has(row)).map(|row| times[row])),
                }
                let rows = (0..rows).filter(|&row| has(row));
                match values {
                    FieldValues::Float(new) => extend(&mut self.values, Values::Float, as_float, new, rows),
                    FieldValues::Integer(new) => extend(&mut self.values, Values::Int, as_int, new, rows),
                    FieldValues::Unsigned(new) => extend(&mut self.values, Values::Uint, as_uint, new, rows),
                    FieldValues::Boolean(new) => extend(&mut self.values, Values::Bool, as_bool, new, rows),
                    FieldValues::String(new) => extend(&mut self.values, Values::String, as_text, new, rows),
                }
            }
            OutputColumn::Null(_) => {}
            other => {
                for (row, time) in times.iter().enumerate() {
                    let Some(value) = other.get(row) else { continue };
                    self.times.push(*time);
                    let values = &mut self.values;
                    match value {
                        FieldValue::Float(value) => extend(values, Values::Float, as_float, &[value], 0..1),
                        FieldValue::Integer(value) => extend(values, Values::Int, as_int, &[value], 0..1),
                        FieldValue::Unsigned(value) => extend(values, Values::Uint, as_uint, &[value], 0..1),
                        FieldValue::Boolean(value) => extend(values, Values::Bool, as_bool, &[value], 0..1),
                        FieldValue::String(value) => extend(values, Values::String, as_text, &[value], 0..1),
                    }
                }
            }
        }
    }

    /// None of a field without values.
    fn finish(self) -> Option<Series> {
        let values = Column::new(Arc::from("_value"), self.values?);
        let Self { measurement, field, tags, mut times, .. } = self;
        // A value of another type than the first, which the engine does not make, has no cell.
        times.truncate(values.rows());
        (!times.is_empty()).then_some(Series { measurement, field, tags, times, values })
    }
}

/// Adds the cells of some rows. The first ones decide the type.
fn extend<T: Clone>(
    target: &mut Option<Values>,
    make: fn(Cells<T>) -> Values,
    take: fn(&mut Values) -> Option<&mut Cells<T>>,
    new: &[T],
    rows: impl Iterator<Item = usize>,
) {
    let target = target.get_or_insert_with(|| make(Cells::all(Vec::new())));
    if let Some(cells) = take(target) {
        cells.values.extend(rows.filter_map(|row| new.get(row).cloned()));
    }
}

fn as_float(values: &mut Values) -> Option<&mut Cells<f64>> {
    if let Values::Float(cells) = values { Some(cells) } else { None }
}

fn as_int(values: &mut Values) -> Option<&mut Cells<i64>> {
    if let Values::Int(cells) = values { Some(cells) } else { None }
}

fn as_uint(values: &mut Values) -> Option<&mut Cells<u64>> {
    if let Values::Uint(cells) = values { Some(cells) } else { None }
}

fn as_bool(values: &mut Values) -> Option<&mut Cells<bool>> {
    if let Values::Bool(cells) = values { Some(cells) } else { None }
}

fn as_text(values: &mut Values) -> Option<&mut Cells<Arc<str>>> {
    if let Values::String(cells) = values { Some(cells) } else { None }
}
