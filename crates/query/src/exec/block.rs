//! Blocks as the plan wants them: columns by scan field, in the type wanted, only the rows that count.

use std::sync::Arc;

use skywatch_model::{Bitmap, Column, FieldType, RowBlock, TimeRange, Values};
use skywatch_storage::{ReadError, ScanBlock};

use super::{exclude, groups::Member};
use crate::{
    expr::{Expr, Frame, Place, Vector},
    plan::{Bound, Reference, SelectPlan},
};

/// How scan fields map to what is asked of storage.
#[derive(Debug)]
pub(super) struct Layout {
    /// Distinct names of fields to read.
    pub(super) request: Vec<Arc<str>>,
    /// For each scan field: index into the request.
    pub(super) index: Vec<usize>,
    /// The type wanted of each scan field.
    wanted: Vec<FieldType>,
    /// Scan fields that make a row count when it is shown as it is: those outside of the condition.
    shown: Vec<usize>,
    /// Tags that are shown, each once.
    pub(super) tags: Vec<Arc<str>>,
}

impl Layout {
    pub(super) fn new(plan: &SelectPlan) -> Self {
        let mut request: Vec<Arc<str>> = Vec::new();
        let index = plan
            .scan_fields
            .iter()
            .map(|field| {
                request.iter().position(|name| *name == field.name).unwrap_or_else(|| {
                    request.push(Arc::clone(&field.name));
                    request.len() - 1
                })
            })
            .collect();
        let shown = plan.references.iter().filter_map(|reference| match reference {
            Reference::Field(field) => Some(*field),
            Reference::Tag(_) | Reference::Unknown => None,
        });
        let mut tags: Vec<Arc<str>> = Vec::new();
        for reference in &plan.references {
            if let Reference::Tag(tag) = reference
                && !tags.contains(tag)
            {
                tags.push(Arc::clone(tag));
            }
        }
        Self {
            request,
            index,
            wanted: plan.scan_fields.iter().map(|field| field.wanted).collect(),
            shown: shown.collect(),
            tags,
        }
    }

    /// Of scan fields alone.
    #[cfg(test)]
    pub(super) fn of_fields(fields: &[(&str, FieldType)]) -> Self {
        let mut request: Vec<Arc<str>> = Vec::new();
        let place = |(name, _): &(&str, FieldType)| {
            request.iter().position(|known| **known == **name).unwrap_or_else(|| {
                request.push((*name).into());
                request.len() - 1
            })
        };
        let index = fields.iter().map(place).collect();
        let wanted = fields.iter().map(|(_, wanted)| *wanted).collect();
        Self { request, index, wanted, shown: Vec::new(), tags: Vec::new() }
    }

    /// The type wanted of a scan field.
    pub(super) fn wanted(&self, field: usize) -> FieldType {
        self.wanted[field]
    }

    /// A member's value of a tag that is shown.
    pub(super) fn tag<'a>(&self, member: &'a Member, tag: &str) -> Option<&'a Arc<str>> {
        let position = self.tags.iter().position(|shown| **shown == *tag)?;
        member.shown[position].as_ref()
    }

    /// Decodes a block: a column per scan field, and only the rows that satisfy the condition.
    pub(super) fn load(&self, block: &dyn ScanBlock, rows: &Bound) -> Result<RowBlock, ReadError> {
        self.load_within(block, rows, TimeRange::ALL)
    }

    /// As [`Self::load`], of the rows in a range of time.
    pub(super) fn load_within(
        &self,
        block: &dyn ScanBlock,
        rows: &Bound,
        range: TimeRange,
    ) -> Result<RowBlock, ReadError> {
        match rows {
            Bound::Nothing => Ok(self.arrange(RowBlock::default(), rows)),
            Bound::Rows(condition) if self.excludes(condition, block) => {
                Ok(self.arrange(RowBlock::default(), rows))
            }
            Bound::All | Bound::Rows(_) => Ok(self.arrange(block.decode_within(range)?, rows)),
        }
    }

    /// Whether statistics tell that no row of the block satisfies the condition.
    pub(super) fn excludes(&self, condition: &Expr, block: &dyn ScanBlock) -> bool {
        exclude::whole(condition, block, &|slot| (self.index[slot], self.wanted[slot]))
    }

    /// Rows as storage hands them out as rows of the plan: a column per scan field, only those that satisfy the
    /// condition.
    pub(super) fn arrange(&self, decoded: RowBlock, rows: &Bound) -> RowBlock {
        if decoded.times.is_empty() {
            return RowBlock { times: Vec::new(), columns: vec![None; self.index.len()] };
        }
        let mut source: Vec<Option<Column>> = decoded.columns;
        let last_use = |position: usize| !self.index[position + 1..].contains(&self.index[position]);
        let columns = (0..self.index.len())
            .map(|position| {
                let column = &mut source[self.index[position]];
                let column = if last_use(position) { column.take() } else { column.clone() };
                column.and_then(|column| conform(column, self.wanted[position]))
            })
            .collect();
        let block = RowBlock { times: decoded.times, columns };
        match rows {
            Bound::All => block,
            Bound::Nothing => take_rows(block, &[]),
            Bound::Rows(condition) => filter(block, condition),
        }
    }

    /// Drops rows that hold nothing to show: they were read for the condition alone.
    pub(super) fn keep_shown(&self, block: RowBlock) -> RowBlock {
        let shown: Vec<&Column> =
            self.shown.iter().filter_map(|field| block.columns[*field].as_ref()).collect();
        if shown.iter().any(|column| column.valid.is_none()) {
            return block;
        }
        let keep: Vec<u32> = (0..block.times.len())
            .filter(|row| shown.iter().any(|column| column.is_valid(*row)))
            .map(|row| row as u32)
            .collect();
        take_rows(block, &keep)
    }
}

/// A column in another type; `None` where there is no way.
pub(super) fn conform(column: Column, wanted: FieldType) -> Option<Column> {
    let values = match (column.values, wanted) {
        (values, wanted) if values.field_type() == wanted => values,
        (Values::Integer(values), FieldType::Float) => {
            Values::Float(values.into_iter().map(|value| value as f64).collect())
        }
        (Values::Unsigned(values), FieldType::Float) => {
            Values::Float(values.into_iter().map(|value| value as f64).collect())
        }
        (Values::Float(values), FieldType::Integer) => {
            Values::Integer(values.into_iter().map(|value| value as i64).collect())
        }
        (Values::Unsigned(values), FieldType::Integer) => {
            Values::Integer(values.into_iter().map(|value| value as i64).collect())
        }
        (Values::Float(values), FieldType::Unsigned) => {
            Values::Unsigned(values.into_iter().map(|value| value as u64).collect())
        }
        (Values::Integer(values), FieldType::Unsigned) => {
            Values::Unsigned(values.into_iter().map(|value| value as u64).collect())
        }
        _ => return None,
    };
    Some(Column { values, valid: column.valid })
}

fn filter(mut block: RowBlock, condition: &Expr) -> RowBlock {
    let slots = block.columns.into_iter().map(|column| column.map_or(Vector::Null, Vector::Column)).collect();
    let frame = Frame { len: block.times.len(), slots };
    let mask = condition.eval(&frame, Place::Condition).into_owned();
    let keep = mask.true_rows(frame.len);
    block.columns = frame
        .slots
        .into_iter()
        .map(|slot| match slot {
            Vector::Column(column) => Some(column),
            _ => None,
        })
        .collect();
    take_rows(block, &keep)
}

/// The rows of those positions, each once.
pub(super) fn take_rows(block: RowBlock, rows: &[u32]) -> RowBlock {
    if rows.len() == block.times.len() {
        return block;
    }
    RowBlock {
        times: rows.iter().map(|row| block.times[*row as usize]).collect(),
        columns: block
            .columns
            .iter()
            .map(|column| column.as_ref().and_then(|column| take(column, rows)))
            .collect(),
    }
}

/// `None` where no row has a value.
fn take(column: &Column, rows: &[u32]) -> Option<Column> {
    let valid = column.valid.as_ref().map(|valid| {
        let mut taken = Bitmap::filled(rows.len(), false);
        for (position, row) in rows.iter().enumerate() {
            if valid.get(*row as usize) {
                taken.set(position, true);
            }
        }
        taken
    });
    if valid.as_ref().is_some_and(|valid| valid.count_set() == 0) {
        return None;
    }
    let valid = valid.filter(|valid| valid.count_set() < rows.len());
    let values = match &column.values {
        Values::Float(values) => Values::Float(rows.iter().map(|row| values[*row as usize]).collect()),
        Values::Integer(values) => Values::Integer(rows.iter().map(|row| values[*row as usize]).collect()),
        Values::Unsigned(values) => Values::Unsigned(rows.iter().map(|row| values[*row as usize]).collect()),
        Values::String(values) => {
            Values::String(rows.iter().map(|row| Arc::clone(&values[*row as usize])).collect())
        }
        Values::Boolean(values) => Values::Boolean(rows.iter().map(|row| values[*row as usize]).collect()),
    };
    Some(Column { values, valid })
}

/// The rows in the opposite order.
pub(super) fn reversed(mut block: RowBlock) -> RowBlock {
    block.times.reverse();
    block.columns.iter_mut().flatten().for_each(Column::reverse);
    block
}

/// About what a block takes in memory.
pub(super) fn bytes(block: &RowBlock) -> usize {
    let width = |column: &Column| match &column.values {
        Values::Float(_) | Values::Integer(_) | Values::Unsigned(_) => 8,
        Values::String(_) => 16,
        Values::Boolean(_) => 1,
    };
    block.times.len() * (8 + block.columns.iter().flatten().map(width).sum::<usize>())
}
