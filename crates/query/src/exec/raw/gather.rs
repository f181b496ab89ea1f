//! Collects merged rows into columns and emits them in pieces.

use std::{ops::Range, sync::Arc};

use rustc_hash::FxHashMap;
use skywatch_model::{Bitmap, Column, FieldValue, RowBlock, Values};

use super::{super::frame::apply_default, Emit, Run, emit_rows};
use crate::{
    QueryError,
    exec::groups::Group,
    expr::{Frame, Vector},
    plan::Reference,
};

/// Rows of one group, column by column.
pub(super) struct Gather<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    /// Rows picked and not yet copied, as runs of a block.
    picks: Vec<Pick>,
    picked: usize,
    dictionaries: Vec<Option<Dictionary>>,
    /// Last values of the rows before, for `fill(previous)`.
    carry: Vec<Option<FieldValue>>,
}

struct Pick {
    member: usize,
    block: Arc<RowBlock>,
    rows: Range<usize>,
}

/// Values of one tag over the members of a group.
struct Dictionary {
    /// Of each member.
    codes: Vec<u32>,
    values: Arc<[Option<Arc<str>>]>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(run: &'a Run<'a>, group: &'a Group) -> Self {
        let dictionary = |reference: &Reference| match reference {
            Reference::Tag(tag) => Some(Dictionary::new(group, tag)),
            Reference::Field(_) | Reference::Unknown => None,
        };
        Self {
            run,
            group,
            picks: Vec::new(),
            picked: 0,
            dictionaries: run.plan.references.iter().map(dictionary).collect(),
            carry: Vec::new(),
        }
    }

    /// Takes rows of a block.
    pub(super) fn rows(
        &mut self,
        member: usize,
        block: &Arc<RowBlock>,
        mut rows: Range<usize>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        while !rows.is_empty() {
            if self.picked == self.run.piece_rows {
                // Only now is it known that more follows.
                self.flush(true, emit)?;
            }
            let taken = rows.len().min(self.run.piece_rows - self.picked);
            let part = rows.start..rows.start + taken;
            rows.start += taken;
            self.picked += taken;
            match self.picks.last_mut() {
                Some(last) if last.rows.end == part.start && Arc::ptr_eq(&last.block, block) => {
                    last.rows.end = part.end;
                }
                _ => self.picks.push(Pick { member, block: Arc::clone(block), rows: part }),
            }
        }
        Ok(())
    }

    /// Emits what is left.
    pub(super) fn finish(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        if self.picked == 0 { Ok(()) } else { self.flush(false, emit) }
    }

    fn flush(&mut self, partial: bool, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        self.run.usage.cancel.check()?;
        let mut times = Vec::with_capacity(self.picked);
        for pick in &self.picks {
            times.extend_from_slice(&pick.block.times[pick.rows.clone()]);
        }
        let slots = self.run.plan.references.iter().zip(&self.dictionaries).map(|(reference, dictionary)| {
            match (reference, dictionary) {
                (Reference::Field(field), _) => self.column(*field),
                (Reference::Tag(_), Some(dictionary)) => self.coded(dictionary),
                (Reference::Tag(_), None) | (Reference::Unknown, _) => Vector::Null,
            }
        });
        let mut frame = Frame { len: self.picked, slots: slots.collect() };
        apply_default(&mut frame, self.run.plan, &mut self.carry);
        self.picks.clear();
        self.picked = 0;
        emit_rows(self.run, self.group, (times, frame), partial, emit)
    }

    fn coded(&self, dictionary: &Dictionary) -> Vector {
        let mut codes = Vec::with_capacity(self.picked);
        for pick in &self.picks {
            codes.resize(codes.len() + pick.rows.len(), dictionary.codes[pick.member]);
        }
        Vector::Coded { codes, dictionary: Arc::clone(&dictionary.values) }
    }

    fn column(&self, field: usize) -> Vector {
        let mut values = Values::empty(self.run.plan.scan_fields[field].wanted);
        let mut all_valid = true;
        let mut any_valid = false;
        for pick in &self.picks {
            match &pick.block.columns[field] {
                Some(column) => {
                    all_valid &= column.valid.is_none();
                    any_valid = true;
                    extend(&mut values, &column.values, pick.rows.clone());
                }
                None => {
                    all_valid = false;
                    extend_placeholders(&mut values, pick.rows.len());
                }
            }
        }
        if !any_valid {
            return Vector::Null;
        }
        Vector::Column(Column { values, valid: (!all_valid).then(|| self.validity(field)) })
    }

    fn validity(&self, field: usize) -> Bitmap {
        let mut valid = Bitmap::filled(self.picked, false);
        let mut position = 0;
        for pick in &self.picks {
            if let Some(column) = &pick.block.columns[field] {
                for (offset, row) in pick.rows.clone().enumerate() {
                    if column.is_valid(row) {
                        valid.set(position + offset, true);
                    }
                }
            }
            position += pick.rows.len();
        }
        valid
    }
}

impl Dictionary {
    fn new(group: &Group, tag: &Arc<str>) -> Self {
        let mut known: FxHashMap<Option<Arc<str>>, u32> = FxHashMap::default();
        let mut values = Vec::new();
        let code = |member: &crate::exec::groups::Member| {
            let tags = member.tags.as_deref().unwrap_or_default();
            let value = tags.iter().find(|(key, _)| key == tag).map(|(_, value)| Arc::clone(value));
            *known.entry(value.clone()).or_insert_with(|| {
                values.push(value);
                values.len() as u32 - 1
            })
        };
        let codes = group.members.iter().map(code).collect();
        Self { codes, values: values.into() }
    }
}

/// Copies rows of a column of the same type.
fn extend(values: &mut Values, from: &Values, rows: Range<usize>) {
    match (values, from) {
        (Values::Float(values), Values::Float(from)) => values.extend_from_slice(&from[rows]),
        (Values::Integer(values), Values::Integer(from)) => values.extend_from_slice(&from[rows]),
        (Values::Unsigned(values), Values::Unsigned(from)) => values.extend_from_slice(&from[rows]),
        (Values::String(values), Values::String(from)) => values.extend_from_slice(&from[rows]),
        (Values::Boolean(values), Values::Boolean(from)) => values.extend_from_slice(&from[rows]),
        (values, from) => {
            debug_assert!(false, "{:?} where {:?} was wanted", from.field_type(), values.field_type());
            extend_placeholders(values, rows.len());
        }
    }
}

fn extend_placeholders(values: &mut Values, count: usize) {
    let len = values.len() + count;
    match values {
        Values::Float(values) => values.resize(len, 0.0),
        Values::Integer(values) => values.resize(len, 0),
        Values::Unsigned(values) => values.resize(len, 0),
        Values::String(values) => values.resize(len, Arc::from("")),
        Values::Boolean(values) => values.resize(len, false),
    }
}
