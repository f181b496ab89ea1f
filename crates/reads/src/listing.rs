//! Series that an owner told of: their keys, and their tags, whose texts are kept once each.

use std::{collections::HashMap, sync::Arc};

use skywatch_model::series;
use skywatch_query::tags_match;
use skywatch_storage::TagPredicate;

type Tags = Vec<(Arc<str>, Arc<str>)>;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    keys: Vec<Arc<str>>,
    /// Which of the shapes each series has, and where its values begin.
    series: Vec<(u32, u32)>,
    /// Lists of tag keys.
    shapes: Vec<Vec<Arc<str>>>,
    /// Of series after series.
    values: Vec<Arc<str>>,
    bytes: usize,
}

/// About what a series takes besides its key and its values, and what a value does.
const SERIES_BYTES: usize = 24;
const VALUE_BYTES: usize = 16;

impl Listing {
    /// Of series in the order of their keys.
    pub(crate) fn of(keys: Vec<Arc<str>>) -> Self {
        let mut listing = Self::default();
        let mut texts: HashMap<String, Arc<str>> = HashMap::new();
        let mut shapes: HashMap<Vec<String>, u32> = HashMap::new();
        let (mut shape, mut last) = (Vec::new(), (Vec::new(), 0));
        for key in &keys {
            let (_, tags) = series::parse_key(key);
            listing.bytes += key.len() + SERIES_BYTES + tags.len() * VALUE_BYTES;
            let at = listing.values.len() as u32;
            shape.clear();
            for (tag, value) in tags {
                shape.push(tag.into_owned());
                let text = match texts.get(&*value) {
                    Some(known) => Arc::clone(known),
                    None => {
                        let made: Arc<str> = Arc::from(&*value);
                        listing.bytes += made.len() + VALUE_BYTES;
                        texts.insert(value.into_owned(), Arc::clone(&made));
                        made
                    }
                };
                listing.values.push(text);
            }
            // Neighbours mostly have the same tags.
            if shape != last.0 || listing.shapes.is_empty() {
                let next = listing.shapes.len() as u32;
                let number = *shapes.entry(shape.clone()).or_insert(next);
                if number == next {
                    listing.bytes += shape.iter().map(|tag| tag.len() + VALUE_BYTES).sum::<usize>();
                    listing.shapes.push(shape.iter().map(|tag| Arc::from(tag.as_str())).collect());
                }
                last = (shape.clone(), number);
            }
            listing.series.push((last.1, at));
        }
        listing.keys = keys;
        listing
    }

    /// Number of series.
    pub(crate) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// About what it takes in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The key of a series.
    pub(crate) fn key(&self, place: usize) -> &Arc<str> {
        &self.keys[place]
    }

    /// The tags of a series, sorted by key.
    pub(crate) fn tags(&self, place: usize) -> Tags {
        let (shape, at) = self.series[place];
        let values = &self.values[at as usize..];
        self.shapes[shape as usize].iter().cloned().zip(values.iter().cloned()).collect()
    }

    /// A series' values of some tags; "" of one that it lacks.
    pub(crate) fn values_of(&self, place: usize, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let (shape, at) = self.series[place];
        let shape = &self.shapes[shape as usize];
        let value = |key: &Arc<str>| {
            let position = shape.iter().position(|tag| tag == key)?;
            Some(Arc::clone(&self.values[at as usize + position]))
        };
        keys.iter().map(|key| value(key).unwrap_or_default()).collect()
    }

    /// Whether a series satisfies a predicate.
    pub(crate) fn is_selected(&self, place: usize, predicate: &TagPredicate) -> bool {
        matches!(predicate, TagPredicate::All) || tags_match(predicate, &self.tags(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_keep_their_tags() {
        let keys = ["m", "m,a=1", "m,a=1,b=x\\,y", "m,a=2", "m,a=2,b=1", "m,b=1"];
        let listing = Listing::of(keys.map(Arc::from).to_vec());
        assert_eq!(listing.len(), keys.len());
        let wanted: [Arc<str>; 3] = ["b".into(), "a".into(), "c".into()];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(&**listing.key(place), *key);
            let tags = listing.tags(place);
            let (_, expected) = series::parse_key(key);
            assert!(
                tags.iter()
                    .map(|(tag, value)| (&**tag, &**value))
                    .eq(expected.iter().map(|(tag, value)| (&**tag, &**value)))
            );
            let of = |name: &str| {
                let found = tags.iter().find(|(tag, _)| &**tag == name);
                found.map_or_else(Arc::default, |(_, value)| Arc::clone(value))
            };
            assert_eq!(listing.values_of(place, &wanted), [of("b"), of("a"), of("c")], "{key}");
            let predicate = TagPredicate::Equal { key: "b".into(), value: "1".into() };
            assert_eq!(listing.is_selected(place, &predicate), &*of("b") == "1");
            assert!(listing.is_selected(place, &TagPredicate::All));
        }
        assert_eq!(listing.shapes.len(), 4, "each list of tag keys is kept once");
    }
}
