//! Order of rows with equal times: that in which InfluxDB's merging heap leaves them.
//!
//! That heap compares, after the times, the selected strings in the order of their names, up to the first selected
//! thing that is no string or that one row lacks. What is equal then stays where [`crate::go_heap`] leaves it.

use std::{cmp::Ordering, sync::Arc};

use skywatch_model::{FieldType, FieldValue, RowBlock};

use super::{Run, groups::Group};
use crate::plan::Reference;

/// A series in the heap, by its next row.
#[derive(Debug)]
pub(super) struct Item {
    /// Time of the row.
    pub(super) time: i64,
    /// Which series.
    pub(super) stream: usize,
    /// Order of the series by tags, where that decides ties.
    rank: u32,
    /// What decides ties where ranks do not; usually empty.
    texts: Box<[Option<Arc<str>>]>,
}

impl Item {
    /// Whether `a` comes first.
    pub(super) fn less(a: &Self, b: &Self, ascending: bool) -> bool {
        let (a, b) = if ascending { (a, b) } else { (b, a) };
        match a.time.cmp(&b.time).then(a.rank.cmp(&b.rank)) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => texts_less(&a.texts, &b.texts),
        }
    }
}

/// Compares text by text; the first that one side lacks makes both equal.
fn texts_less(a: &[Option<Arc<str>>], b: &[Option<Arc<str>>]) -> bool {
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => return a < b,
            _ => return false,
        }
    }
    false
}

/// What decides between rows of one time.
#[derive(Debug)]
pub(super) struct Ties {
    /// Order of each stream by its tags; empty if they do not decide.
    ranks: Vec<u32>,
    /// The greatest rank.
    greatest: u32,
    /// Compared after the ranks.
    texts: Vec<Text>,
}

#[derive(Debug)]
enum Text {
    /// A tag's value in each stream.
    Tag(Vec<Option<Arc<str>>>),
    /// A string field.
    Field(usize),
}

impl Ties {
    /// For series that are these members of a group; item `i` is a row of `members[i]`.
    pub(super) fn new(run: &Run<'_>, group: &Group, members: &[usize]) -> Self {
        let mut texts = Vec::new();
        for reference in named_references(run) {
            match reference {
                Reference::Tag(tag) => {
                    let value = |member: &usize| run.layout.tag(&group.members[*member], tag).map(Arc::clone);
                    texts.push(Text::Tag(members.iter().map(value).collect()));
                }
                Reference::Field(field) if run.plan.scan_fields[*field].wanted == FieldType::String => {
                    texts.push(Text::Field(*field));
                }
                Reference::Field(_) | Reference::Unknown => break,
            }
        }
        Self::ranked(texts, members.len())
    }

    /// Rows of one time come in the order of the series, also in a descending query, whose series come last first.
    pub(super) fn by_place(streams: usize) -> Self {
        Self {
            ranks: (0..streams as u32).collect(),
            greatest: streams.saturating_sub(1) as u32,
            texts: Vec::new(),
        }
    }

    /// The order of the series where it decides between all rows of one time: no two have the same place.
    pub(super) fn total_order(&self) -> Option<&[u32]> {
        let is_total = self.texts.is_empty() && self.ranks.len() == self.greatest as usize + 1;
        is_total.then_some(&self.ranks)
    }

    /// Whether string fields of the rows decide, so that they have to be read.
    pub(super) fn reads_rows(&self) -> bool {
        self.texts.iter().any(|text| matches!(text, Text::Field(_)))
    }

    /// A row of series `stream` for the heap.
    pub(super) fn item(&self, stream: usize, time: i64, block: &RowBlock, row: usize) -> Item {
        let texts = self.texts.iter().map(|text| match text {
            Text::Tag(values) => values[stream].clone(),
            Text::Field(field) => match block.columns.get(*field)?.as_ref()?.get(row)? {
                FieldValue::String(text) => Some(text),
                _ => None,
            },
        });
        Item { time, stream, rank: self.ranks.get(stream).copied().unwrap_or(0), texts: texts.collect() }
    }

    /// Leading tags that every series has can be compared once and for all.
    fn ranked(texts: Vec<Text>, streams: usize) -> Self {
        let is_total = |text: &Text| matches!(text, Text::Tag(values) if values.iter().all(Option::is_some));
        let leading = texts.iter().take_while(|text| is_total(text)).count();
        if leading == 0 {
            return Self { ranks: Vec::new(), greatest: 0, texts };
        }
        let key = |stream: usize| {
            texts[..leading].iter().map(move |text| match text {
                Text::Tag(values) => values[stream].as_deref(),
                Text::Field(_) => None,
            })
        };
        let mut order: Vec<usize> = (0..streams).collect();
        order.sort_by(|a, b| key(*a).cmp(key(*b)));
        let mut ranks = vec![0; streams];
        let mut rank = 0;
        for position in 1..order.len() {
            rank += u32::from(key(order[position]).ne(key(order[position - 1])));
            ranks[order[position]] = rank;
        }
        Self { ranks, greatest: rank, texts: texts.into_iter().skip(leading).collect() }
    }
}

/// References by name: the order in which InfluxDB holds what it reads beside each other.
fn named_references<'a>(run: &Run<'a>) -> Vec<&'a Reference> {
    let name = |reference: &Reference| match reference {
        Reference::Field(field) => run.plan.scan_fields[*field].name.to_string(),
        Reference::Tag(tag) => tag.to_string(),
        Reference::Unknown => String::new(),
    };
    let mut references: Vec<&Reference> = run.plan.references.iter().collect();
    references.sort_by_key(|reference| name(reference));
    references
}
