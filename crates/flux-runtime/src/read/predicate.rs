//! Conditions on series and points that a storage can look at itself.
//!
//! A tag that a series lacks compares with nothing, as null does in Flux: only [`Comparison::Missing`] holds of it. The
//! storage of InfluxDB takes it for the empty text here, so that a filter means one thing there and another after any
//! other step.

use std::{rc::Rc, sync::Arc};

use crate::{Pattern, Value};

/// A condition.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// Holds always.
    All,
    /// Of one thing.
    Compare(Subject, Comparison),
    /// Each of them holds.
    And(Vec<Predicate>),
    /// One of them holds.
    Or(Vec<Predicate>),
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `_measurement`
    Measurement,
    /// `_field`
    Field,
    /// A tag.
    Tag(Arc<str>),
    /// `_value`
    Value,
}

/// How it is compared. Values are numbers, texts or truth values; subjects other than the value are only compared with
/// texts, and not as to their order.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// `==`
    Equal(Value),
    /// `!=`
    NotEqual(Value),
    /// `<`
    Less(Value),
    /// `<=`
    LessEqual(Value),
    /// `>`
    Greater(Value),
    /// `>=`
    GreaterEqual(Value),
    /// `=~`
    Matches(Rc<Pattern>),
    /// `!~`
    NotMatches(Rc<Pattern>),
    /// `exists`: of a tag.
    Exists,
    /// `not exists`: of a tag.
    Missing,
}

impl Predicate {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::And(mut all), Self::And(others)) => {
                all.extend(others);
                Self::And(all)
            }
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (one, Self::And(mut others)) => {
                others.insert(0, one);
                Self::And(others)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// The measurement that it asks for by name, if there can be no other.
    pub fn only_measurement(&self) -> Option<&str> {
        match self {
            Self::Compare(Subject::Measurement, Comparison::Equal(Value::String(name))) => Some(name),
            Self::And(all) => all.iter().find_map(Self::only_measurement),
            Self::All | Self::Compare(..) | Self::Or(_) => None,
        }
    }

    /// One of both holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Or(mut all), Self::Or(others)) => {
                all.extend(others);
                Self::Or(all)
            }
            (Self::Or(mut all), other) => {
                all.push(other);
                Self::Or(all)
            }
            (one, other) => Self::Or(vec![one, other]),
        }
    }
}
