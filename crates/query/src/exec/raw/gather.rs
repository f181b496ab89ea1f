//! Collects merged rows into columns and emits them in pieces.

use std::{ops::Range, sync::Arc};

use skywatch_model::{FieldValue, RowBlock};

use super::{
    super::frame::{self, apply_default},
    Emit, Run, Stream,
    append::Appender,
};
use crate::{
    QueryError,
    exec::groups::Group,
    expr::{Frame, Vector},
    plan::Reference,
};

/// Rows of one group, column by column.
pub(in crate::exec) struct Gather<'a> {
    run: &'a Run<'a>,
    group: &'a Group,
    /// Rows collected so far.
    times: Vec<i64>,
    /// The member each is of; empty if no tags are shown.
    members: Vec<u32>,
    /// One per reference.
    columns: Vec<Source>,
    /// Last values of the rows before, for `fill(previous)`.
    carry: Vec<Option<FieldValue>>,
    /// Rows of a batch, as stream and row.
    picks: Vec<(u32, u32)>,
}

/// Where the values of a reference come from.
enum Source {
    /// A scan field.
    Field(usize, Appender),
    /// A tag's value in each member.
    Tag(Arc<[Option<Arc<str>>]>),
    Unknown,
}

impl<'a> Gather<'a> {
    pub(in crate::exec) fn new(run: &'a Run<'a>, group: &'a Group) -> Self {
        let source = |reference: &Reference| match reference {
            Reference::Field(field) => {
                Source::Field(*field, Appender::new(run.plan.scan_fields[*field].wanted))
            }
            Reference::Tag(tag) => {
                let value = |member| run.layout.tag(member, tag).map(Arc::clone);
                Source::Tag(group.members.iter().map(value).collect())
            }
            Reference::Unknown => Source::Unknown,
        };
        Self {
            run,
            group,
            times: Vec::new(),
            members: Vec::new(),
            columns: run.plan.references.iter().map(source).collect(),
            carry: Vec::new(),
            picks: Vec::new(),
        }
    }

    /// Takes rows of a block.
    pub(super) fn rows(
        &mut self,
        member: usize,
        block: &RowBlock,
        mut rows: Range<usize>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        while !rows.is_empty() {
            let taken = rows.len().min(self.room(emit)?);
            let part = rows.start..rows.start + taken;
            rows.start += taken;
            self.times.extend_from_slice(&block.times[part.clone()]);
            self.note_members(std::iter::repeat_n(member as u32, taken));
            for source in &mut self.columns {
                if let Source::Field(field, column) = source {
                    column.rows(block.columns[*field].as_ref(), part.clone());
                }
            }
        }
        Ok(())
    }

    /// Takes rows here and there: stream by position, and row in its block.
    pub(super) fn scattered(
        &mut self,
        streams: &[Stream<'_>],
        mut picks: impl ExactSizeIterator<Item = (u32, u32)>,
        emit: &mut Emit<'_>,
    ) -> Result<(), QueryError> {
        while picks.len() > 0 {
            let room = self.room(emit)?;
            let mut part = std::mem::take(&mut self.picks);
            part.clear();
            part.extend(picks.by_ref().take(room));
            let time = |(stream, row): &(u32, u32)| streams[*stream as usize].block.times[*row as usize];
            self.times.extend(part.iter().map(time));
            self.note_members(part.iter().map(|(stream, _)| streams[*stream as usize].member as u32));
            for source in &mut self.columns {
                if let Source::Field(field, column) = source {
                    let columns: Vec<_> =
                        streams.iter().map(|stream| stream.block.columns[*field].as_ref()).collect();
                    column.scattered(&columns, &part);
                }
            }
            self.picks = part;
        }
        Ok(())
    }

    fn note_members(&mut self, members: impl Iterator<Item = u32>) {
        if !self.run.layout.tags.is_empty() {
            self.members.extend(members);
        }
    }

    /// How many rows the piece has room for, at least one.
    fn room(&mut self, emit: &mut Emit<'_>) -> Result<usize, QueryError> {
        if self.times.len() == self.run.piece_rows {
            // Only now is it known that more follows.
            self.flush(true, emit)?;
        }
        Ok(self.run.piece_rows - self.times.len())
    }

    /// Emits what there is, though more follows.
    pub(in crate::exec) fn hand_out(&mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        if self.times.is_empty() { Ok(()) } else { self.flush(true, emit) }
    }

    /// Emits what is left.
    pub(in crate::exec) fn finish(mut self, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        if self.times.is_empty() { Ok(()) } else { self.flush(false, emit) }
    }

    fn flush(&mut self, partial: bool, emit: &mut Emit<'_>) -> Result<(), QueryError> {
        self.run.usage.cancel.check()?;
        let times = std::mem::take(&mut self.times);
        let codes: Arc<[u32]> = self.members.as_slice().into();
        self.members.clear();
        let slot = |source: &mut Source| match source {
            Source::Field(_, column) => column.take_vector(),
            Source::Tag(values) => {
                Vector::Coded { codes: Arc::clone(&codes), dictionary: Arc::clone(values) }
            }
            Source::Unknown => Vector::Null,
        };
        let mut frame = Frame { len: times.len(), slots: self.columns.iter_mut().map(slot).collect() };
        apply_default(&mut frame, self.run.plan, &mut self.carry);
        let mut series = self.run.series(self.group);
        series.values = frame::columns(self.run.plan, times, frame);
        series.partial = partial;
        emit(series)
    }
}
