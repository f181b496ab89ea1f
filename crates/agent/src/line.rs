//! Metrics as lines of line protocol, by the model's serialiser.

use skywatch_model::FieldValue;
use skywatch_model::line::FieldRef;
use skywatch_model::serialize::{PointParts, SerializeError, SerializeOptions, append_point};

use crate::metric::Metric;

/// Appends the metric's line, with its line feed; with `timed` false without its time.
pub(crate) fn append(
    out: &mut String,
    metric: &Metric,
    timed: bool,
    options: SerializeOptions,
) -> Result<(), SerializeError> {
    let fields: Vec<_> = metric.fields().iter().map(|(key, value)| (key.as_ref(), borrow(value))).collect();
    let point = PointParts {
        measurement: &metric.name,
        tags: metric.tags(),
        fields: &fields,
        time_ns: timed.then_some(metric.time_ns),
    };
    append_point(out, &point, options)
}

fn borrow(value: &FieldValue) -> FieldRef<'_> {
    match value {
        FieldValue::Float(v) => FieldRef::Float(*v),
        FieldValue::Integer(v) => FieldRef::Integer(*v),
        FieldValue::Unsigned(v) => FieldRef::Unsigned(*v),
        FieldValue::String(v) => FieldRef::String(v),
        FieldValue::Boolean(v) => FieldRef::Boolean(*v),
    }
}
