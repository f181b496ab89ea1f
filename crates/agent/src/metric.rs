//! One metric: what an input reports and an output ships.
//!
//! Invariants: tags are sorted by key and unique; fields keep the order in which the input gave
//! them (the serialiser may sort); a metric without fields never leaves the agent.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skywatch_model::FieldValue;

/// What a value means over time. Line protocol does not carry it; other outputs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Only ever grows, until its source restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations counted by upper bounds, with their count and sum.
    Histogram,
    /// Observations by quantile, with their count and sum.
    Summary,
    /// Nothing is known about it.
    #[default]
    Untyped,
}

/// A field's or tag's key. Most are literals in a collector, hence the `Cow`.
pub type Key = Cow<'static, str>;

/// Tells the source of some metrics, once, that nobody holds any of them any longer: each metric and each copy of it
/// keeps a clone, and the last one to go calls.
#[derive(Clone)]
pub struct Delivered(Arc<Call>);

struct Call {
    then: Option<Box<dyn FnOnce() + Send + Sync>>,
    is_lost: AtomicBool,
}

impl Delivered {
    /// Calls `then` when the last clone is dropped.
    pub fn new(then: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Call { then: Some(Box::new(then)), is_lost: AtomicBool::new(false) }))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(then) = self.then.take()
            && !*self.is_lost.get_mut()
        {
            then();
        }
    }
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivered")
    }
}

/// A measurement's name, its tags and fields, and when they were read.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The measurement.
    pub name: Cow<'static, str>,
    tags: Vec<(Key, String)>,
    fields: Vec<(Key, FieldValue)>,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// See [`Kind`].
    pub kind: Kind,
    tracking: Option<Delivered>,
}

/// Whether they say the same; who waits for their delivery does not matter.
impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.tags == other.tags
            && self.fields == other.fields
            && self.time_ns == other.time_ns
            && self.kind == other.kind
    }
}

impl Metric {
    /// A metric without tags and fields, read at `time_ns` (nanoseconds since the Unix epoch).
    pub fn new(name: impl Into<Cow<'static, str>>, time_ns: i64) -> Self {
        Self {
            name: name.into(),
            tags: Vec::new(),
            fields: Vec::new(),
            time_ns,
            kind: Kind::Untyped,
            tracking: None,
        }
    }

    /// A metric made from this one: the same name, tags, time, kind and tracking, and no fields yet.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            name: self.name.clone(),
            tags: self.tags.clone(),
            fields: Vec::new(),
            time_ns: self.time_ns,
            kind: self.kind,
            tracking: self.tracking.clone(),
        }
    }

    /// Has `delivered` dropped together with the last copy of this metric.
    pub(crate) fn track(&mut self, delivered: Delivered) {
        self.tracking = Some(delivered);
    }

    /// The same without anybody who waits for its delivery: it is safe from here on.
    pub(crate) fn untracked(metric: Arc<Self>) -> Arc<Self> {
        if metric.tracking.is_none() {
            return metric;
        }
        Arc::new(Self { tracking: None, ..metric.as_ref().clone() })
    }

    /// The metric is lost, at the end of the agent: its source is not told that it is delivered, and so offers it
    /// again the next time.
    pub(crate) fn lose(&self) {
        if let Some(Delivered(call)) = &self.tracking {
            call.is_lost.store(true, Ordering::Relaxed);
        }
    }

    /// Sets the kind.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<Key>, value: impl Into<String>) -> Self {
        self.set_tag(key, value);
        self
    }

    /// Appends a field. A key given twice keeps its place and takes the later value.
    #[must_use]
    pub fn field(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.set_field(key, value);
        self
    }

    /// The tags, sorted by key.
    pub fn tags(&self) -> &[(Key, String)] {
        &self.tags
    }

    /// The fields, in the order given.
    pub fn fields(&self) -> &[(Key, FieldValue)] {
        &self.fields
    }

    /// The value of a tag.
    pub fn tag_value(&self, key: &str) -> Option<&str> {
        let at = self.tags.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        self.tags.get(at).map(|(_, value)| value.as_str())
    }

    /// The value of a field.
    pub fn field_value(&self, key: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Sets a tag, replacing an earlier value.
    pub fn set_tag(&mut self, key: impl Into<Key>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.tags.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => self.tags[at].1 = value,
            Err(at) => self.tags.insert(at, (key, value)),
        }
    }

    /// Sets a tag unless the metric has one of that key.
    pub fn set_tag_if_absent(&mut self, key: &str, value: &str) {
        if let Err(at) = self.tags.binary_search_by(|(k, _)| k.as_ref().cmp(key)) {
            self.tags.insert(at, (Cow::Owned(key.to_owned()), value.to_owned()));
        }
    }

    /// Sets a field, replacing an earlier value.
    pub fn set_field(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let (key, Value(value)) = (key.into(), value.into());
        match self.fields.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.fields.push((key, value)),
        }
    }

    /// Lets the metric's source go: what follows does not concern it.
    pub(crate) fn untrack(&mut self) {
        self.tracking = None;
    }

    /// Takes a tag away and returns its value.
    pub fn remove_tag(&mut self, key: &str) -> Option<String> {
        let at = self.tags.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        Some(self.tags.remove(at).1)
    }

    /// Takes a field away and returns its value.
    pub fn remove_field(&mut self, key: &str) -> Option<FieldValue> {
        let at = self.fields.iter().position(|(k, _)| k == key)?;
        Some(self.fields.remove(at).1)
    }

    /// Gives a field another key, and its place to it; a field that had that key is gone.
    pub fn rename_field(&mut self, key: &str, to: &str) {
        if key == to || !self.fields.iter().any(|(k, _)| k == key) {
            return;
        }
        self.fields.retain(|(k, _)| k != to);
        if let Some((k, _)) = self.fields.iter_mut().find(|(k, _)| k == key) {
            *k = Cow::Owned(to.to_owned());
        }
    }

    /// The fields, for changing their values and keys in place. Keys must stay unique.
    pub fn fields_mut(&mut self) -> &mut Vec<(Key, FieldValue)> {
        &mut self.fields
    }

    /// Keeps the tags whose key passes.
    pub fn retain_tags(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.tags.retain(|(key, _)| keep(key));
    }

    /// Keeps the fields whose key passes.
    pub fn retain_fields(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.fields.retain(|(key, _)| keep(key));
    }
}

/// A field value on its way into a metric: converts from Rust's own types.
#[derive(Debug, Clone, PartialEq)]
pub struct Value(pub FieldValue);

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Self {
        Self(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(FieldValue::Float(value))
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self(FieldValue::Integer(value))
    }
}
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(FieldValue::Unsigned(value))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(FieldValue::Boolean(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self(FieldValue::String(Arc::from(value)))
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self(FieldValue::String(Arc::from(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_sorted_and_unique() {
        let m = Metric::new("m", 0).tag("b", "1").tag("a", "2").tag("c", "3").tag("b", "4");
        let tags: Vec<_> = m.tags().iter().map(|(k, v)| (k.as_ref(), v.as_str())).collect();
        assert_eq!(tags, [("a", "2"), ("b", "4"), ("c", "3")]);
        assert_eq!(m.tag_value("b"), Some("4"));
        assert_eq!(m.tag_value("x"), None);
    }

    #[test]
    fn the_last_copy_of_the_last_metric_tells_of_the_delivery() {
        use std::sync::atomic::AtomicU32;
        let calls = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&calls);
        let delivered = Delivered::new(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let mut first = Metric::new("m", 0);
        let mut second = Metric::new("m", 1);
        first.track(delivered.clone());
        second.track(delivered);
        let derived = first.child().field("x", 1_i64);
        drop((first, second));
        assert_eq!(calls.load(Ordering::Relaxed), 0, "what was made of the first is still under way");
        drop(derived);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_metric_that_is_lost_is_not_delivered() {
        let delivered = Delivered::new(|| panic!("told of"));
        let mut first = Metric::new("m", 0);
        let mut second = Metric::new("m", 1);
        first.track(delivered.clone());
        second.track(delivered);
        first.lose();
    }

    #[test]
    fn an_absent_tag_is_filled_and_a_present_one_kept() {
        let mut m = Metric::new("m", 0).tag("host", "own");
        m.set_tag_if_absent("host", "global");
        m.set_tag_if_absent("dc", "north");
        assert_eq!(m.tag_value("host"), Some("own"));
        assert_eq!(m.tag_value("dc"), Some("north"));
    }

    #[test]
    fn a_field_given_twice_keeps_its_place() {
        let m = Metric::new("m", 0).field("x", 1_i64).field("y", 2_u64).field("x", 3.0);
        assert_eq!(m.fields()[0], ("x".into(), FieldValue::Float(3.0)));
        assert_eq!(m.fields().len(), 2);
    }
}
