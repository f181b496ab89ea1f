//! The five Rust types behind field values.

use std::{cmp::Ordering, sync::Arc};

use skywatch_model::{FieldType, FieldValue, Values};
use skywatch_storage::Sum;

/// The Rust type behind one [`FieldType`].
pub(crate) trait Native: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// The field type.
    const TYPE: FieldType;

    /// The values of a column, if they are of this type.
    fn slice(values: &Values) -> Option<&[Self]>;

    /// The same, to add values.
    fn vec_mut(values: &mut Values) -> Option<&mut Vec<Self>>;

    /// Out of a value of this type.
    fn from_value(value: &FieldValue) -> Option<Self>;

    /// Into a value.
    fn into_value(self) -> FieldValue;

    /// InfluxQL's order: numbers by size, strings by bytes, false before true.
    fn order(&self, other: &Self) -> Ordering;

    /// Whether `first` takes this value rather than the other of the same time: the greater one, as `last` does,
    /// but of booleans false.
    fn is_rather_first(&self, other: &Self) -> bool {
        let order = self.order(other);
        if Self::TYPE == FieldType::Boolean { order.is_lt() } else { order.is_gt() }
    }

    /// A key equal for equal values, for sets.
    fn key(&self) -> Key;
}

/// A value as a key of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Bits of a number or boolean.
    Bits(u64),
    /// A string.
    Text(Arc<str>),
}

/// Natives that add up.
pub(crate) trait Number: Native + Copy + Default {
    /// Whether a sum is the same however its values are ordered and grouped.
    const SUMS_IN_ANY_ORDER: bool;

    /// Adds, wrapping for integers as Go does.
    fn add(self, other: Self) -> Self;
    /// Subtracts, wrapping for integers.
    fn sub(self, other: Self) -> Self;
    /// Nearest float.
    fn to_f64(self) -> f64;
    /// The sum of a block, if it is of this type.
    fn from_sum(sum: Sum) -> Option<Self>;
}

macro_rules! native {
    ($type:ty, $variant:ident, $order:expr, $key:expr) => {
        impl Native for $type {
            const TYPE: FieldType = FieldType::$variant;

            fn slice(values: &Values) -> Option<&[Self]> {
                match values {
                    Values::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn vec_mut(values: &mut Values) -> Option<&mut Vec<Self>> {
                match values {
                    Values::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn from_value(value: &FieldValue) -> Option<Self> {
                match value {
                    FieldValue::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn into_value(self) -> FieldValue {
                FieldValue::$variant(self)
            }

            fn order(&self, other: &Self) -> Ordering {
                $order(self, other)
            }

            fn key(&self) -> Key {
                $key(self)
            }
        }
    };
}

native!(
    f64,
    Float,
    |a: &Self, b: &Self| a.partial_cmp(b).unwrap_or(Ordering::Equal),
    // Both zeros are one value.
    |value: &Self| Key::Bits(if *value == 0.0 { 0 } else { value.to_bits() })
);
native!(i64, Integer, Self::cmp, |value: &Self| Key::Bits(*value as u64));
native!(u64, Unsigned, Self::cmp, |value: &Self| Key::Bits(*value));
native!(bool, Boolean, Self::cmp, |value: &Self| Key::Bits(u64::from(*value)));
native!(Arc<str>, String, Self::cmp, |value: &Self| Key::Text(Self::clone(value)));

macro_rules! integer {
    ($type:ty, $variant:ident) => {
        impl Number for $type {
            const SUMS_IN_ANY_ORDER: bool = true;

            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_sum(sum: Sum) -> Option<Self> {
                match sum {
                    Sum::$variant(sum) => Some(sum),
                    _ => None,
                }
            }
        }
    };
}

integer!(i64, Integer);
integer!(u64, Unsigned);

impl Number for f64 {
    const SUMS_IN_ANY_ORDER: bool = false;

    fn add(self, other: Self) -> Self {
        self + other
    }
    fn sub(self, other: Self) -> Self {
        self - other
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn from_sum(sum: Sum) -> Option<Self> {
        match sum {
            Sum::Float(sum) => Some(sum),
            _ => None,
        }
    }
}
