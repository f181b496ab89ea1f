//! Conditions of Flux as InfluxQL has them, for one field of one measurement.
//!
//! What measurement and field it is, is known here; what remains are conditions on tags and on the field's values.

use skywatch_flux_runtime::{Comparison, Kind, Predicate, Subject, Value};
use skywatch_influxql::{ParamValue, Params, quote_ident};

/// A condition, as far as it is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Residual {
    /// It never holds.
    Never,
    /// It always holds.
    Always,
    /// InfluxQL tells.
    When(String),
}

/// What a condition is asked of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) measurement: &'a str,
    pub(super) field: &'a str,
    /// As its name is cast in a condition: `field`, or the type whose values are meant.
    pub(super) cast: &'a str,
    /// Types that the field has had; none: values are not looked at, any will do.
    pub(super) kinds: &'a [Kind],
}

/// What remains of a condition. Values stand in `params`, equal ones once, so that equal conditions have equal texts.
pub(super) fn residual(predicate: &Predicate, of: Of<'_>, params: &mut Params) -> Residual {
    match predicate {
        Predicate::All => Residual::Always,
        Predicate::And(all) => {
            let mut parts = Vec::new();
            for one in all {
                match residual(one, of, params) {
                    Residual::Never => return Residual::Never,
                    Residual::Always => {}
                    Residual::When(text) => parts.push(text),
                }
            }
            joined(&parts, " AND ", Residual::Always)
        }
        Predicate::Or(any) => {
            let mut parts = Vec::new();
            for one in any {
                match residual(one, of, params) {
                    Residual::Always => return Residual::Always,
                    Residual::Never => {}
                    Residual::When(text) => parts.push(text),
                }
            }
            joined(&parts, " OR ", Residual::Never)
        }
        Predicate::Compare(Subject::Measurement, comparison) => decided(of.measurement, comparison),
        Predicate::Compare(Subject::Field, comparison) => decided(of.field, comparison),
        Predicate::Compare(Subject::Tag(key), comparison) => tag(&quoted(key), comparison, params),
        Predicate::Compare(Subject::Value, comparison) => {
            if of.kinds.is_empty() {
                Residual::Always
            } else if of.kinds.iter().any(|kind| compares(*kind, comparison)) {
                told(&format!("{}::{}", quoted(of.field), of.cast), comparison, params)
            } else {
                Residual::Never
            }
        }
    }
}

/// Of a tag. InfluxQL takes one that a series lacks for the empty text; here it compares with nothing.
fn tag(key: &str, comparison: &Comparison, params: &mut Params) -> Residual {
    let key = format!("{key}::tag");
    let there = format!("{key} != ''");
    match comparison {
        Comparison::Exists => Residual::When(there),
        Comparison::Missing => Residual::When(format!("{key} = ''")),
        Comparison::Equal(Value::String(text)) if text.is_empty() => Residual::Never,
        Comparison::Equal(_) => told(&key, comparison, params),
        _ => match told(&key, comparison, params) {
            Residual::When(condition) => Residual::When(format!("({condition} AND {there})")),
            decided => decided,
        },
    }
}

/// A name in InfluxQL, always in quotes.
pub(super) fn quoted(name: &str) -> String {
    let text = quote_ident(name);
    if text.starts_with('"') { text } else { format!("\"{text}\"") }
}

fn joined(parts: &[String], with: &str, empty: Residual) -> Residual {
    match parts.len() {
        0 => empty,
        1 => Residual::When(parts.concat()),
        _ => Residual::When(format!("({})", parts.join(with))),
    }
}

/// Of a text that is known.
fn decided(text: &str, comparison: &Comparison) -> Residual {
    let holds = match comparison {
        Comparison::Equal(Value::String(value)) => **value == *text,
        Comparison::NotEqual(Value::String(value)) => **value != *text,
        Comparison::Matches(regex) => regex.is_match(text),
        Comparison::NotMatches(regex) => !regex.is_match(text),
        _ => false,
    };
    if holds { Residual::Always } else { Residual::Never }
}

/// Whether values of a type can be compared so.
fn compares(kind: Kind, comparison: &Comparison) -> bool {
    let number = matches!(kind, Kind::Float | Kind::Int | Kind::Uint);
    match comparison {
        Comparison::Matches(_) | Comparison::NotMatches(_) => kind == Kind::String,
        Comparison::Exists | Comparison::Missing => false,
        Comparison::Equal(value)
        | Comparison::NotEqual(value)
        | Comparison::Less(value)
        | Comparison::LessEqual(value)
        | Comparison::Greater(value)
        | Comparison::GreaterEqual(value) => match value {
            Value::String(_) => kind == Kind::String,
            Value::Bool(_) => kind == Kind::Bool,
            _ => number,
        },
    }
}

fn told(subject: &str, comparison: &Comparison, params: &mut Params) -> Residual {
    let (sign, value) = match comparison {
        Comparison::Equal(value) => ("=", value),
        Comparison::NotEqual(value) => ("!=", value),
        Comparison::Less(value) => ("<", value),
        Comparison::LessEqual(value) => ("<=", value),
        Comparison::Greater(value) => (">", value),
        Comparison::GreaterEqual(value) => (">=", value),
        Comparison::Matches(pattern) => {
            let pattern = bound(params, ParamValue::Regex(pattern.source().to_owned()));
            return Residual::When(format!("{subject} =~ {pattern}"));
        }
        Comparison::NotMatches(pattern) => {
            let pattern = bound(params, ParamValue::Regex(pattern.source().to_owned()));
            return Residual::When(format!("{subject} !~ {pattern}"));
        }
        Comparison::Exists | Comparison::Missing => return Residual::Never,
    };
    let value = match value {
        Value::String(text) => bound(params, ParamValue::String(text.to_string())),
        Value::Bool(value) => bound(params, ParamValue::Boolean(*value)),
        Value::Int(value) => bound(params, ParamValue::Integer(*value)),
        Value::Float(value) => bound(params, ParamValue::Number(*value)),
        // Beyond what is signed there is no parameter; a literal says it as well.
        Value::Uint(value) => value.to_string(),
        _ => return Residual::Never,
    };
    Residual::When(format!("{subject} {sign} {value}"))
}

/// The parameter of that value.
fn bound(params: &mut Params, value: ParamValue) -> String {
    if let Some((name, _)) = params.iter().find(|(_, known)| **known == value) {
        return format!("${name}");
    }
    let name = format!("p{}", params.len());
    params.insert(name.clone(), value);
    format!("${name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(value: &str) -> Predicate {
        Predicate::Compare(Subject::Tag("host".into()), Comparison::Equal(Value::text(value)))
    }

    fn field(value: &str) -> Predicate {
        Predicate::Compare(Subject::Field, Comparison::Equal(Value::text(value)))
    }

    fn remains(predicate: &Predicate) -> (Residual, Params) {
        let mut params = Params::new();
        let of = Of { measurement: "cpu", field: "load", cast: "field", kinds: &[Kind::Float] };
        (residual(predicate, of, &mut params), params)
    }

    #[test]
    fn what_is_known_is_decided() {
        assert_eq!(remains(&field("load").and(tag("a"))).0, Residual::When("\"host\"::tag = $p0".to_owned()));
        assert_eq!(remains(&field("idle").and(tag("a"))).0, Residual::Never);
        assert_eq!(remains(&field("idle").or(field("load"))).0, Residual::Always);
        assert_eq!(remains(&field("load").or(tag("a"))).0, Residual::Always);
    }

    #[test]
    fn a_tag_that_is_not_there_compares_with_nothing() {
        let of = |comparison| remains(&Predicate::Compare(Subject::Tag("host".into()), comparison)).0;
        let when = |text: &str| Residual::When(text.to_owned());
        assert_eq!(of(Comparison::Equal(Value::text(""))), Residual::Never);
        assert_eq!(of(Comparison::Missing), when("\"host\"::tag = ''"));
        assert_eq!(of(Comparison::Exists), when("\"host\"::tag != ''"));
        let unequal = when("(\"host\"::tag != $p0 AND \"host\"::tag != '')");
        assert_eq!(of(Comparison::NotEqual(Value::text("a"))), unequal);
    }

    #[test]
    fn equal_values_are_one_parameter() {
        let (residual, params) = remains(&tag("a").or(tag("b")).or(tag("a")));
        let text = "(\"host\"::tag = $p0 OR \"host\"::tag = $p1 OR \"host\"::tag = $p0)";
        assert_eq!(residual, Residual::When(text.to_owned()));
        assert_eq!(params.len(), 2);
    }

    #[test]
    fn values_of_other_types_never_compare() {
        let value = |value: Value| Predicate::Compare(Subject::Value, Comparison::NotEqual(value));
        assert_eq!(remains(&value(Value::text("x"))).0, Residual::Never);
        assert_eq!(remains(&value(Value::Int(1))).0, Residual::When("\"load\"::field != $p0".to_owned()));
    }
}
