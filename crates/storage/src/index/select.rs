//! Predicates over tags, evaluated on bitmaps; and the order of keys, compared without making them.
//!
//! Files and frozen heads are read without the index's lock. Of the active head, the lock is held for reading while
//! bitmaps are combined; where a regular expression would have to look at many values, they are copied out, matched,
//! and the lock is taken again.

use std::{cmp::Ordering, sync::Arc};

use parking_lot::RwLock;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::{Bounds, Index, View};
use crate::{TagPredicate, rows::SeriesId};

/// More values than this are not matched with the lock held.
const MATCHED_LOCKED: usize = 256;

/// A tag's values in one source.
pub(super) trait Tag {
    fn len(&self) -> u32;
    fn text(&self, number: u32) -> &str;
    fn find(&self, text: &str) -> Option<u32>;
    /// Adds the series that have the value.
    fn add_postings(&self, number: u32, all: &mut RoaringBitmap);
}

/// A measurement in one source.
pub(super) trait Tagged {
    /// All its series.
    fn series(&self) -> RoaringBitmap;
    /// Those that lack the tag.
    fn without(&self, key: &str) -> RoaringBitmap;
    fn tag(&self, key: &str) -> Option<Box<dyn Tag + '_>>;
    /// Each list of tag keys, with the series that have it.
    fn tables(&self) -> Vec<(Vec<Arc<str>>, RoaringBitmap)>;
    /// Series of the measurement, as runs each in the order of the keys.
    fn sort(&self, series: &RoaringBitmap) -> Vec<Vec<u32>>;
}

/// Whether keys with this value are in the order of the values' own bytes: it has nothing to escape, and nothing that
/// comes before the comma that follows a value in a key.
pub(super) fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| byte > b',' && byte != b'=')
}

/// The order of two keys that are equal up to these values; after the last value a key ends, after others there is a
/// comma.
pub(super) fn compare_in_key(a: &str, b: &str, is_last: bool) -> Ordering {
    let bytes = |text: &str| {
        let escaped = text.bytes().flat_map(|byte| {
            let escape = matches!(byte, b',' | b'=' | b' ').then_some(b'\\');
            escape.into_iter().chain([byte])
        });
        escaped.chain((!is_last).then_some(b',')).collect::<Vec<u8>>()
    };
    if is_plain(a) && is_plain(b) { a.cmp(b) } else { bytes(a).cmp(&bytes(b)) }
}

/// The first column that differs decides.
pub(super) fn compare_rows(mut columns: impl Iterator<Item = Ordering>) -> Ordering {
    columns.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The values that regular expressions of a predicate accept, by the place of the leaf in memory.
type Answers = FxHashMap<usize, Vec<u32>>;

fn matching(measurement: &dyn Tagged, predicate: &TagPredicate, answers: &Answers) -> RoaringBitmap {
    match predicate {
        TagPredicate::All => measurement.series(),
        TagPredicate::None => RoaringBitmap::new(),
        TagPredicate::Equal { key, value } if value.is_empty() => measurement.without(key),
        TagPredicate::Equal { key, value } => {
            let mut ids = RoaringBitmap::new();
            if let Some(tag) = measurement.tag(key)
                && let Some(number) = tag.find(value)
            {
                tag.add_postings(number, &mut ids);
            }
            ids
        }
        TagPredicate::Matches { key, regex } => {
            let mut ids = if regex.is_match("") { measurement.without(key) } else { RoaringBitmap::new() };
            if let Some(tag) = measurement.tag(key) {
                match answers.get(&std::ptr::from_ref(predicate).addr()) {
                    Some(numbers) => numbers.iter().for_each(|number| tag.add_postings(*number, &mut ids)),
                    None => (0..tag.len())
                        .filter(|number| regex.is_match(tag.text(*number)))
                        .for_each(|number| tag.add_postings(number, &mut ids)),
                }
            }
            ids
        }
        TagPredicate::Not(inner) => measurement.series() - matching(measurement, inner, answers),
        TagPredicate::And(all) => {
            let Some((first, rest)) = all.split_first() else { return measurement.series() };
            rest.iter().fold(matching(measurement, first, answers), |ids, inner| {
                if ids.is_empty() { ids } else { ids & matching(measurement, inner, answers) }
            })
        }
        TagPredicate::Or(any) => {
            any.iter().fold(RoaringBitmap::new(), |ids, inner| ids | matching(measurement, inner, answers))
        }
    }
}

/// Calls `each` with the leaves that are regular expressions.
fn regex_leaves<'a>(predicate: &'a TagPredicate, each: &mut impl FnMut(&'a TagPredicate)) {
    match predicate {
        TagPredicate::Matches { .. } => each(predicate),
        TagPredicate::Not(inner) => regex_leaves(inner, each),
        TagPredicate::And(all) | TagPredicate::Or(all) => {
            all.iter().for_each(|inner| regex_leaves(inner, each));
        }
        TagPredicate::All | TagPredicate::None | TagPredicate::Equal { .. } => {}
    }
}

/// What a selection found: by source, the active head being the last.
struct Found<T> {
    view: View,
    of_sources: Vec<(usize, RoaringBitmap)>,
    of_head: Option<T>,
}

/// Evaluates a predicate. What the active head has is given to `finish`, with the lock held for reading.
fn evaluate<T>(
    index: &RwLock<Index>,
    measurement: &str,
    predicate: &TagPredicate,
    bounds: Bounds,
    finish: impl Fn(&dyn Tagged, &Index, RoaringBitmap) -> T,
) -> Found<T> {
    loop {
        let mut texts: Vec<(&TagPredicate, (String, Vec<u32>))> = Vec::new();
        let (view, from, is_in_head) = {
            let index = index.read();
            let head = index.head.measurement(measurement);
            if let Some(head) = head {
                regex_leaves(predicate, &mut |leaf| {
                    if let TagPredicate::Matches { key, .. } = leaf
                        && head.tag(key).is_some_and(|tag| tag.len() as usize > MATCHED_LOCKED)
                    {
                        texts.extend(head.texts(key).map(|texts| (leaf, texts)));
                    }
                });
            }
            (index.view.clone(), index.head.from(), head.is_some())
        };
        let answers = texts.into_iter().map(|(leaf, (texts, ends))| {
            (std::ptr::from_ref(leaf).addr(), matching_texts(leaf, &texts, &ends))
        });
        let answers: Answers = answers.collect();
        let visible = |mut ids: RoaringBitmap, retired: &RoaringBitmap| {
            ids.remove_range(bounds.series..);
            if !retired.is_empty() {
                ids -= retired;
            }
            ids
        };
        let mut of_sources = Vec::new();
        view.each_measurement(measurement, |source, tagged| {
            let ids = visible(matching(tagged, predicate, &Answers::default()), &view.retired);
            if !ids.is_empty() {
                of_sources.push((source, ids));
            }
        });
        let mut of_head = None;
        if is_in_head {
            let index = index.read();
            if index.head.from() != from {
                // It was frozen meanwhile; what the answers number is elsewhere now.
                continue;
            }
            if let Some(head) = index.head.measurement(measurement) {
                let ids = visible(matching(&head, predicate, &answers), &index.view.retired);
                of_head = (!ids.is_empty()).then(|| finish(&head, &index, ids));
            }
        }
        return Found { view, of_sources, of_head };
    }
}

fn matching_texts(leaf: &TagPredicate, texts: &str, ends: &[u32]) -> Vec<u32> {
    let TagPredicate::Matches { regex, .. } = leaf else { return Vec::new() };
    let mut start = 0;
    let mut numbers = Vec::new();
    for (number, end) in (0..).zip(ends) {
        if regex.is_match(&texts[start..*end as usize]) {
            numbers.push(number);
        }
        start = *end as usize;
    }
    numbers
}

/// Series of a measurement that satisfy a predicate, sorted by key.
pub(crate) fn select(
    index: &RwLock<Index>,
    measurement: &str,
    predicate: &TagPredicate,
    bounds: Bounds,
) -> Vec<SeriesId> {
    let found = evaluate(index, measurement, predicate, bounds, |head, index, ids| {
        let runs = head.sort(&ids);
        let is_alone = runs.len() == 1 && index.view.is_empty();
        let keys: Vec<Vec<String>> =
            if is_alone { Vec::new() } else { runs.iter().map(|run| index.keys(run)).collect() };
        (runs, keys)
    });
    let mut runs: Vec<Run> = Vec::new();
    for (source, ids) in &found.of_sources {
        found.view.with_measurement(*source, measurement, |tagged| {
            runs.extend(tagged.sort(ids).into_iter().map(|ids| Run::new(ids, Keys::Source(*source))));
        });
    }
    let (of_head, keys) = found.of_head.unwrap_or_default();
    let mut keys = keys.into_iter();
    runs.extend(of_head.into_iter().map(|ids| Run::new(ids, Keys::Made(keys.next().unwrap_or_default()))));
    let ids = match runs.as_mut_slice() {
        [] => Vec::new(),
        [run] => std::mem::take(&mut run.ids),
        _ => merge_runs(&found.view, runs),
    };
    ids.into_iter().map(SeriesId).collect()
}

/// Series of a measurement that satisfy a predicate.
pub(crate) fn select_ids(
    index: &RwLock<Index>,
    measurement: &str,
    predicate: &TagPredicate,
    bounds: Bounds,
) -> RoaringBitmap {
    let found = evaluate(index, measurement, predicate, bounds, |_, _, ids| ids);
    let ids = found.of_head.unwrap_or_default();
    found.of_sources.iter().fold(ids, |all, (_, ids)| all | ids)
}

/// How many series [`select`] would return.
pub(crate) fn count_series(
    index: &RwLock<Index>,
    measurement: &str,
    predicate: &TagPredicate,
    bounds: Bounds,
) -> u64 {
    let found = evaluate(index, measurement, predicate, bounds, |_, _, ids| ids.len());
    found.of_sources.iter().map(|(_, ids)| ids.len()).sum::<u64>() + found.of_head.unwrap_or(0)
}

/// What the sources of a view, and the head, have of a tag within bounds.
struct Values<'a> {
    retired: &'a RoaringBitmap,
    bounds: Bounds,
    of_sources: Vec<(Box<dyn Tag + 'a>, bool)>,
}

impl<'a> Values<'a> {
    fn new(view: &'a View, measurement: &str, key: &str, bounds: Bounds) -> Self {
        let retired = &*view.retired;
        let of_source = |(end, tag): (u32, _)| (tag, retired.is_empty() && end <= bounds.series);
        Self { retired, bounds, of_sources: view.tags(measurement, key).map(of_source).collect() }
    }

    fn is_visible(&self, tag: &dyn Tag, is_whole: bool, number: u32) -> bool {
        is_whole || {
            let mut ids = RoaringBitmap::new();
            tag.add_postings(number, &mut ids);
            has_visible(&ids, self.retired, self.bounds)
        }
    }

    /// Visible values of a source, by its position.
    fn of(&self, position: usize) -> impl Iterator<Item = &str> {
        let (tag, is_whole) = &self.of_sources[position];
        let visible = (0..tag.len()).filter(|number| self.is_visible(&**tag, *is_whole, *number));
        visible.map(|number| tag.text(number))
    }

    /// Whether one of the first sources has a visible value.
    fn has(&self, sources: usize, value: &str) -> bool {
        let has = |(tag, is_whole): &(Box<dyn Tag + '_>, bool)| {
            tag.find(value).is_some_and(|number| self.is_visible(&**tag, *is_whole, number))
        };
        self.of_sources[..sources].iter().any(has)
    }
}

fn has_visible(ids: &RoaringBitmap, retired: &RoaringBitmap, bounds: Bounds) -> bool {
    ids.iter().take_while(|id| *id < bounds.series).any(|id| !retired.contains(id))
}

/// The view, and the visible values that the active head has of a tag.
fn values_of_head(
    index: &RwLock<Index>,
    measurement: &str,
    key: &str,
    bounds: Bounds,
) -> (View, Vec<Arc<str>>) {
    let index = index.read();
    let mut values: Vec<Arc<str>> = Vec::new();
    if let Some(head) = index.head.measurement(measurement)
        && let Some(tag) = head.tag(key)
    {
        let mut ids = RoaringBitmap::new();
        for number in 0..tag.len() {
            ids.clear();
            tag.add_postings(number, &mut ids);
            if has_visible(&ids, &index.view.retired, bounds) {
                values.push(tag.text(number).into());
            }
        }
    }
    (index.view.clone(), values)
}

/// Values of a tag of a measurement, sorted.
pub(crate) fn tag_values(
    index: &RwLock<Index>,
    measurement: &str,
    key: &str,
    bounds: Bounds,
) -> Vec<Arc<str>> {
    let (view, mut all) = values_of_head(index, measurement, key, bounds);
    let values = Values::new(&view, measurement, key, bounds);
    for source in 0..values.of_sources.len() {
        all.extend(values.of(source).map(Arc::from));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// How many values [`tag_values`] would return; holds none but those of the head.
pub(crate) fn tag_value_count(index: &RwLock<Index>, measurement: &str, key: &str, bounds: Bounds) -> u64 {
    let (view, of_head) = values_of_head(index, measurement, key, bounds);
    let values = Values::new(&view, measurement, key, bounds);
    let sources = values.of_sources.len();
    let mut count = of_head.iter().filter(|value| !values.has(sources, value)).count();
    for source in 0..sources {
        count += values.of(source).filter(|value| !values.has(source, value)).count();
    }
    count as u64
}

/// Series in the order of their keys.
struct Run {
    ids: Vec<u32>,
    keys: Keys,
    next: usize,
    /// Of the next series.
    key: String,
}

enum Keys {
    /// Made when they are compared.
    Source(usize),
    /// Made while the lock was held.
    Made(Vec<String>),
}

impl Run {
    const fn new(ids: Vec<u32>, keys: Keys) -> Self {
        Self { ids, keys, next: 0, key: String::new() }
    }

    /// Prepares the next key.
    fn prepare(&mut self, view: &View) {
        let Some(id) = self.ids.get(self.next) else { return };
        match &mut self.keys {
            Keys::Source(source) => {
                self.key.clear();
                view.append_key(*source, *id, &mut self.key);
            }
            Keys::Made(keys) => self.key = std::mem::take(&mut keys[self.next]),
        }
    }
}

fn merge_runs(view: &View, mut runs: Vec<Run>) -> Vec<u32> {
    let mut merged = Vec::with_capacity(runs.iter().map(|run| run.ids.len()).sum());
    runs.iter_mut().for_each(|run| run.prepare(view));
    loop {
        let waiting = runs.iter_mut().filter(|run| run.next < run.ids.len());
        let Some(least) = waiting.min_by(|a, b| a.key.cmp(&b.key)) else { return merged };
        merged.push(least.ids[least.next]);
        least.next += 1;
        least.prepare(view);
    }
}

impl Index {
    /// Calls `each` with the measurement in every source that has it.
    fn each_measurement(&self, name: &str, mut each: impl FnMut(&dyn Tagged)) {
        self.view.each_measurement(name, |_, measurement| each(measurement));
        if let Some(measurement) = self.head.measurement(name) {
            each(&measurement);
        }
    }

    /// Names of the measurements visible within `bounds`, sorted.
    pub(crate) fn measurement_names(&self, bounds: Bounds) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        let mut see = |name: &Arc<str>, measurement: &dyn Tagged| {
            if measurement.tables().iter().any(|(_, ids)| has_visible(ids, &self.view.retired, bounds)) {
                names.push(Arc::clone(name));
            }
        };
        self.view.every_measurement(&mut see);
        self.head.measurements().for_each(|(name, measurement)| see(name, &measurement));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Tag keys of a measurement, sorted.
    pub(crate) fn tag_keys(&self, measurement: &str, bounds: Bounds) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = Vec::new();
        self.each_measurement(measurement, |measurement| {
            for (of_table, ids) in measurement.tables() {
                if has_visible(&ids, &self.view.retired, bounds) {
                    keys.extend(of_table);
                }
            }
        });
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// At least as many as there are values of a tag, found without looking at them: values in more than one file
    /// count more than once.
    pub(crate) fn tag_values_at_most(&self, measurement: &str, key: &str) -> u64 {
        let mut count = 0;
        self.each_measurement(measurement, |measurement| {
            count += measurement.tag(key).map_or(0, |tag| u64::from(tag.len()));
        });
        count
    }

    /// Hands out every value of a tag of a measurement, once for each file that has it.
    pub(crate) fn for_each_tag_value(&self, measurement: &str, key: &str, visit: &mut dyn FnMut(&str)) {
        self.each_measurement(measurement, |measurement| {
            if let Some(tag) = measurement.tag(key) {
                (0..tag.len()).for_each(|number| visit(tag.text(number)));
            }
        });
    }

    /// Whether some series of the measurement has, or had, this value of a tag.
    pub(crate) fn has_tag_value(&self, measurement: &str, key: &str, value: &str) -> bool {
        let mut has = false;
        self.each_measurement(measurement, |measurement| {
            has |= measurement.tag(key).is_some_and(|tag| tag.find(value).is_some());
        });
        has
    }
}
