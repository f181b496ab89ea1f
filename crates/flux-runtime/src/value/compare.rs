//! Which values are equal, and which of two comes first.

use std::cmp::Ordering;

use crate::Value;

/// A value as a key: equal to, before or after any other. Values of different types are ordered by type; NaN equals
/// itself and comes last; what has no order (functions, streams) equals its like.
#[derive(Debug, Clone)]
pub struct Ordered(pub Value);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        total(&self.0, &other.0)
    }
}

/// A total order; null comes first, as in Flux's `sort`.
pub(crate) fn total(left: &Value, right: &Value) -> Ordering {
    use Value::{
        Array, Bool, Bytes, Dictionary, Duration, Float, Int, Null, Record, Regex, String, Time, Uint,
    };
    match (left, right) {
        (Null, Null) => Ordering::Equal,
        (Bool(left), Bool(right)) => left.cmp(right),
        (Int(left), Int(right)) | (Time(left), Time(right)) => left.cmp(right),
        (Uint(left), Uint(right)) => left.cmp(right),
        (Float(left), Float(right)) => {
            left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
        }
        (String(left), String(right)) => left.cmp(right),
        (Bytes(left), Bytes(right)) => left.cmp(right),
        (Duration(left), Duration(right)) => approximate(*left).cmp(&approximate(*right)),
        (Regex(left), Regex(right)) => left.source().cmp(right.source()),
        (Array(left), Array(right)) => {
            let pairs = left.iter().zip(right.iter()).map(|(left, right)| total(left, right));
            pairs.fold(Ordering::Equal, Ordering::then).then(left.len().cmp(&right.len()))
        }
        (Dictionary(left), Dictionary(right)) => {
            let keys = left.keys().cmp(right.keys());
            let pairs = left.values().zip(right.values()).map(|(left, right)| total(left, right));
            keys.then_with(|| pairs.fold(Ordering::Equal, Ordering::then))
        }
        (Record(left), Record(right)) => {
            let sorted = |record: &crate::Record| {
                let mut members = record.members();
                members.sort_by(|left, right| left.0.cmp(&right.0));
                members
            };
            let (left, right) = (sorted(left), sorted(right));
            let pairs = left.iter().zip(&right);
            pairs
                .map(|(left, right)| left.0.cmp(&right.0).then_with(|| total(&left.1, &right.1)))
                .fold(Ordering::Equal, Ordering::then)
                .then(left.len().cmp(&right.len()))
        }
        _ => (left.kind() as u8).cmp(&(right.kind() as u8)),
    }
}

/// Months as thirty days: only to have an order.
fn approximate(duration: skywatch_flux::Duration) -> i128 {
    const MONTH_NS: i128 = 30 * 24 * 3600 * 1_000_000_000;
    let length = i128::from(duration.months) * MONTH_NS + i128::from(duration.nanoseconds);
    if duration.is_negative { -length } else { length }
}
