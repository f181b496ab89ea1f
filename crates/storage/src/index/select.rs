//! Predicates over tags, evaluated on bitmaps.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Bounds, Index, Measurement};
use crate::{TagPredicate, rows::SeriesId};

impl Index {
    /// Series of a measurement that satisfy a predicate, sorted by key.
    pub(crate) fn select(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
        bounds: Bounds,
    ) -> Vec<SeriesId> {
        let Some(measurement) = self.measurement(measurement) else {
            return Vec::new();
        };
        let mut ids = measurement.matching(predicate);
        ids.remove_range(bounds.series..);
        let mut keyed: Vec<(&Arc<str>, SeriesId)> =
            ids.iter().filter_map(|id| Some((self.series_key(SeriesId(id))?, SeriesId(id)))).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, id)| id).collect()
    }

    /// How many series [`Self::select`] would return.
    pub(crate) fn count_series(&self, measurement: &str, predicate: &TagPredicate, bounds: Bounds) -> u64 {
        let matching =
            |measurement: &Measurement| measurement.matching(predicate).rank(bounds.series.saturating_sub(1));
        if bounds.series == 0 { 0 } else { self.measurement(measurement).map_or(0, matching) }
    }

    /// How many values [`Self::tag_values`] would return.
    pub(crate) fn tag_value_count(&self, measurement: &str, key: &str, bounds: Bounds) -> u64 {
        let tag = self.measurement(measurement).and_then(|measurement| measurement.tags.get(key));
        let values = tag.into_iter().flat_map(|tag| tag.values.values());
        values.filter(|postings| postings.min() < bounds.series).count() as u64
    }

    /// Tag keys of a measurement, sorted.
    pub(crate) fn tag_keys(&self, measurement: &str, bounds: Bounds) -> Vec<Arc<str>> {
        let tags = self.measurement(measurement).into_iter().flat_map(|measurement| &measurement.tags);
        let visible = tags.filter(|(_, tag)| tag.present.min().is_some_and(|id| id < bounds.series));
        let mut keys: Vec<_> = visible.map(|(key, _)| Arc::clone(key)).collect();
        keys.sort_unstable();
        keys
    }

    /// Values of a tag of a measurement, sorted.
    pub(crate) fn tag_values(&self, measurement: &str, key: &str, bounds: Bounds) -> Vec<Arc<str>> {
        let tag = self.measurement(measurement).and_then(|measurement| measurement.tags.get(key));
        let values = tag.into_iter().flat_map(|tag| &tag.values);
        let visible = values.filter(|(_, postings)| postings.min() < bounds.series);
        let mut values: Vec<_> = visible.map(|(value, _)| Arc::clone(value)).collect();
        values.sort_unstable();
        values
    }
}

impl Measurement {
    fn matching(&self, predicate: &TagPredicate) -> RoaringBitmap {
        match predicate {
            TagPredicate::All => self.series.clone(),
            TagPredicate::None => RoaringBitmap::new(),
            TagPredicate::Equal { key, value } if value.is_empty() => self.without_tag(key),
            TagPredicate::Equal { key, value } => {
                let postings = self.tags.get(key).and_then(|tag| tag.values.get(value));
                postings.map_or_else(RoaringBitmap::new, super::Postings::to_bitmap)
            }
            TagPredicate::Matches { key, regex } => {
                let mut ids = if regex.is_match("") { self.without_tag(key) } else { RoaringBitmap::new() };
                let values = self.tags.get(key).into_iter().flat_map(|tag| &tag.values);
                for (_, postings) in values.filter(|(value, _)| regex.is_match(value)) {
                    postings.add_to(&mut ids);
                }
                ids
            }
            TagPredicate::Not(inner) => &self.series - self.matching(inner),
            TagPredicate::And(all) => all.iter().fold(self.series.clone(), |ids, inner| {
                if ids.is_empty() { ids } else { ids & self.matching(inner) }
            }),
            TagPredicate::Or(any) => {
                any.iter().fold(RoaringBitmap::new(), |ids, inner| ids | self.matching(inner))
            }
        }
    }

    fn without_tag(&self, key: &str) -> RoaringBitmap {
        self.tags.get(key).map_or_else(|| self.series.clone(), |tag| &self.series - &tag.present)
    }
}
