//! Values within values, and how far that goes.
//!
//! A text can make a value of which each part holds the one before twice. Whatever walks through values, if only to let
//! go of them, takes a stack as deep and a time as long as they are: so both are known when a value is made, and what
//! goes beyond them is refused.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use super::Ordered;
use crate::{Record, Value};

/// Values within values within values.
const DEPTH_MAX: u32 = 64;
/// Values in all, each counted as often as it is met.
const PARTS_MAX: u64 = 20_000_000;

/// Values, and how far they go.
#[derive(Debug, Clone)]
pub struct Nest<T> {
    values: T,
    extent: Extent,
}

/// How far a value goes.
#[derive(Debug, Clone, Copy)]
struct Extent {
    depth: u32,
    parts: u64,
}

impl<T> Nest<T> {
    /// The values.
    pub(crate) fn into_inner(self) -> T {
        self.values
    }

    const fn extent(&self) -> Extent {
        self.extent
    }
}

impl Nest<Vec<Value>> {
    /// An array's.
    pub(crate) fn array(values: Vec<Value>) -> Self {
        Self { extent: Extent::around(values.iter()), values }
    }
}

impl Nest<Vec<(Arc<str>, Value)>> {
    /// A record's.
    pub(crate) fn members(values: Vec<(Arc<str>, Value)>) -> Self {
        Self { extent: Extent::around(values.iter().map(|(_, value)| value)), values }
    }
}

impl Nest<BTreeMap<Ordered, Value>> {
    /// A dictionary's.
    pub(crate) fn entries(values: BTreeMap<Ordered, Value>) -> Self {
        Self { extent: Extent::around(values.keys().map(|key| &key.0).chain(values.values())), values }
    }
}

impl<T> Deref for Nest<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.values
    }
}

impl Extent {
    fn around<'v>(parts: impl Iterator<Item = &'v Value>) -> Self {
        parts.map(Self::of).fold(Self { depth: 1, parts: 1 }, |sum, part| Self {
            depth: sum.depth.max(part.depth.saturating_add(1)),
            parts: sum.parts.saturating_add(part.parts),
        })
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Array(values) => values.extent(),
            Value::Dictionary(entries) => entries.extent(),
            Value::Record(Record::Members(members)) => members.extent(),
            _ => Self { depth: 0, parts: 1 },
        }
    }
}

impl Value {
    /// Why it cannot be kept, if it goes too far.
    pub(crate) fn too_large(&self) -> Option<String> {
        let Extent { depth, parts } = Extent::of(self);
        if depth > DEPTH_MAX {
            return Some(format!("arrays and records are nested more than {DEPTH_MAX} deep"));
        }
        (parts > PARTS_MAX).then(|| format!("a value consists of more than {PARTS_MAX} others"))
    }
}
