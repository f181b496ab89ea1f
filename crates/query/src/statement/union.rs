//! Sorted names of several shards as one sorted list without duplicates, made as it is read.

use std::{cmp::Reverse, collections::BinaryHeap, iter::FusedIterator, sync::Arc};

use skywatch_storage::{SeriesRef, ShardRead, TagPredicate};

use crate::{
    QueryError,
    exec::{Held, Usage},
};

/// How often the query looks whether it is to stop, in names.
const CHECK_EVERY: u32 = 1024;
/// What one list takes besides its items.
const LIST_BYTES: usize = 128;

type Names<'a> = Box<dyn Iterator<Item = Arc<str>> + 'a>;

/// The union of sorted lists. Ends early, with an error, when the query is stopped.
pub(super) struct Union<'a> {
    lists: Vec<Names<'a>>,
    /// The next name of each list that has one.
    heads: BinaryHeap<Reverse<(Arc<str>, usize)>>,
    last: Option<Arc<str>>,
    usage: &'a Usage<'a>,
    until_check: u32,
    held: Vec<Held<'a>>,
}

impl<'a> Union<'a> {
    /// Without lists.
    pub(super) fn new(usage: &'a Usage<'a>) -> Self {
        Self {
            lists: Vec::new(),
            heads: BinaryHeap::new(),
            last: None,
            usage,
            until_check: CHECK_EVERY,
            held: Vec::new(),
        }
    }

    /// Adds the keys of the series of a shard that satisfy the predicate.
    pub(super) fn add_series(
        &mut self,
        shard: &'a Arc<dyn ShardRead>,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<(), QueryError> {
        self.usage.cancel.check()?;
        let series = shard.select_series(measurement, predicate)?;
        let bytes = series.len() * size_of::<SeriesRef>();
        self.add(Box::new(series.into_iter().map(|series| shard.series_key(series))), bytes)
    }

    /// Adds the values of a tag.
    pub(super) fn add_tag_values(
        &mut self,
        shard: &Arc<dyn ShardRead>,
        measurement: &str,
        key: &str,
    ) -> Result<(), QueryError> {
        self.usage.cancel.check()?;
        // The texts are the index's own.
        let values = shard.tag_values(measurement, key)?;
        let bytes = values.len() * size_of::<Arc<str>>();
        self.add(Box::new(values.into_iter()), bytes)
    }

    fn add(&mut self, mut names: Names<'a>, bytes: usize) -> Result<(), QueryError> {
        self.held.push(self.usage.hold_while(LIST_BYTES + bytes)?);
        if let Some(first) = names.next() {
            self.heads.push(Reverse((first, self.lists.len())));
            self.lists.push(names);
        }
        Ok(())
    }

    /// How many names there are.
    pub(super) fn count_names(self) -> Result<u64, QueryError> {
        let mut count = 0;
        for name in self {
            name?;
            count += 1;
        }
        Ok(count)
    }
}

impl Iterator for Union<'_> {
    type Item = Result<Arc<str>, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.until_check -= 1;
            if self.until_check == 0 {
                self.until_check = CHECK_EVERY;
                if let Err(interrupt) = self.usage.cancel.check() {
                    self.heads.clear();
                    return Some(Err(interrupt.into()));
                }
            }
            let mut head = self.heads.peek_mut()?;
            let list = head.0.1;
            let name = match self.lists[list].next() {
                Some(next) => std::mem::replace(&mut head.0.0, next),
                None => std::collections::binary_heap::PeekMut::pop(head).0.0,
            };
            if self.last.as_ref() != Some(&name) {
                self.last = Some(Arc::clone(&name));
                return Some(Ok(name));
            }
        }
    }
}

impl FusedIterator for Union<'_> {}
