//! `metricpass`: an expression in Google's Common Expression Language that says whether a metric passes.
//!
//! It knows `name` (text), `tags` and `fields` (maps), `time` (a timestamp), `now()`, and the extensions for texts,
//! mathematics and encodings.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::types::CelTimestamp;
use cel::common::value::CowVal;
use cel::{Context, DeclarationError, Env, ExecutionError, Program, Value, extensions};
use chrono::{DateTime, FixedOffset};
use skywatch_model::FieldValue;
use tracing::{debug, error};

use crate::agent::wall_clock_ns;
use crate::metric::Metric;

static LANGUAGE: LazyLock<Result<Arc<Env>, String>> = LazyLock::new(|| {
    language().map(Arc::new).map_err(|why| format!("the expression language cannot be set up: {why}"))
});

fn language() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::math)?;
    env.add_extension(extensions::encoders)?;
    env.add_overload("now", "now()", Vec::new(), now)?;
    Ok(env)
}

fn now<'b, 'v>(_: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(CowVal::owned(CelTimestamp::from(timestamp(wall_clock_ns()))))
}

fn timestamp(nanos: i64) -> DateTime<FixedOffset> {
    DateTime::from_timestamp_nanos(nanos).fixed_offset()
}

/// An expression, compiled.
pub(super) struct MetricPass {
    text: String,
    program: Program,
    language: Arc<Env>,
    /// One failure is an error in the log; those after it are details.
    has_failed: AtomicBool,
}

impl fmt::Debug for MetricPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetricPass").field(&self.text).finish()
    }
}

impl MetricPass {
    /// Compiles. The error says where the expression is wrong, or what it knows not.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let language = LANGUAGE.clone()?;
        let program = language.compile(text).map_err(|errors| {
            let described = errors.errors.iter().map(|error| {
                let (line, column) = error.pos;
                format!("line {line}, column {column}: {}", error.msg.trim())
            });
            described.collect::<Vec<_>>().join("; ")
        })?;
        let pass = Self { text: text.to_owned(), program, language, has_failed: AtomicBool::new(false) };
        // Most metrics lack what is asked for, but nothing may be unknown, and no answer something else than yes or no.
        match pass.evaluate(&Metric::new("", 0)) {
            Ok(Value::Bool(_)) => Ok(pass),
            Ok(other) => Err(format!("must be true or false, not {other:?}")),
            Err(error @ ExecutionError::UndeclaredReference(_)) => {
                Err(format!("{error}; known are name, tags, fields, time and now()"))
            }
            Err(_) => Ok(pass),
        }
    }

    /// Whether the metric passes. One that the expression fails for does.
    pub(super) fn passes(&self, metric: &Metric) -> bool {
        let failed = match self.evaluate(metric) {
            Ok(Value::Bool(passes)) => return passes,
            Ok(other) => format!("the answer is {other:?}, neither true nor false"),
            Err(error) => error.to_string(),
        };
        let (text, name) = (&self.text, &metric.name);
        if self.has_failed.swap(true, Ordering::Relaxed) {
            debug!("metricpass {text:?} fails for a metric of {name:?}, which passes: {failed}");
        } else {
            error!(
                "metricpass {text:?} fails for a metric of {name:?}, which passes: {failed} (further failures are logged at debug level)"
            );
        }
        true
    }

    fn evaluate(&self, metric: &Metric) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&self.language));
        let tags: HashMap<String, Value> =
            metric.tags().iter().map(|(key, value)| (key.to_string(), Value::from(value.as_str()))).collect();
        let fields: HashMap<String, Value> =
            metric.fields().iter().map(|(key, value)| (key.to_string(), of_field(value))).collect();
        context.add_variable_from_value("name", metric.name.as_ref());
        context.add_variable_from_value("tags", tags);
        context.add_variable_from_value("fields", fields);
        context.add_variable_from_value("time", Value::Timestamp(timestamp(metric.time_ns)));
        self.program.execute(&context)
    }
}

fn of_field(value: &FieldValue) -> Value {
    match value {
        FieldValue::Float(number) => Value::Float(*number),
        FieldValue::Integer(number) => Value::Int(*number),
        FieldValue::Unsigned(number) => Value::UInt(*number),
        FieldValue::String(text) => Value::from(text.as_ref()),
        FieldValue::Boolean(yes) => Value::Bool(*yes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        let metric = Metric::new("disk", 1_600_000_000_000_000_000)
            .tag("path", "/Var")
            .field("used", 7_u64)
            .field("part", 0.5)
            .field("note", "b2s=");
        MetricPass::compile(text).unwrap_or_else(|why| panic!("{text}: {why}")).passes(&metric)
    }

    #[test]
    fn expressions() {
        for text in [
            "name == 'disk' && tags.path == '/Var'",
            "'path' in tags && !('host' in tags)",
            "has(fields.used) && fields.used > 6u && fields.part < 1.0",
            "fields.exists(key, key == 'used')",
            "time < now() && now() - time > duration('24h')",
            "time == timestamp('2020-09-13T12:26:40Z')",
            "tags.path.lowerAscii() == '/var'",
            "math.greatest(1, 2) == 2",
            "base64.decode(fields.note) == b'ok'",
            "name.matches('^d.*k$')",
        ] {
            assert!(passes(text), "{text}");
            assert!(!passes(&format!("!({text})")), "{text}, the other way round");
        }
    }

    #[test]
    fn one_that_fails_lets_pass() {
        assert!(passes("tags.absent == 'x'"));
        assert!(passes("fields.note > 3"));
    }

    #[test]
    fn mistakes_are_placed() {
        let error = |text| MetricPass::compile(text).expect_err(text);
        assert!(error("name == ").starts_with("line 1, column "), "{}", error("name == "));
        assert!(error("nam == 'x'").contains("'nam'"), "{}", error("nam == 'x'"));
        assert!(error("name + 'x'").contains("must be true or false"), "{}", error("name + 'x'"));
    }
}
