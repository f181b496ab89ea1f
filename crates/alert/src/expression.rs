//! Expressions over query results: reducing series to numbers, arithmetic, thresholds. Pure.

mod math;
mod reduce;
mod threshold;

pub use math::{MathError, MathExpr};
pub use reduce::{ReduceMode, Reducer};
pub use threshold::Evaluator;

use crate::labels::Labels;

/// A number with its labels; `None` is null: no value.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledNumber {
    /// Labels of the series it comes from.
    pub labels: Labels,
    /// The number.
    pub value: Option<f64>,
}
