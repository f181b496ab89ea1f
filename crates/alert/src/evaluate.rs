//! From query results to one result per label set: runs the nodes of a rule. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Time,
    expression::LabelledNumber,
    labels::{Labels, METRIC, contains, to_text},
    limits::SERIES_PER_RULE_MAX,
    rule::{NodeKind, QueryNode, Rule},
    source::Series,
};

/// The result for one label set.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Labels of the data.
    pub labels: Labels,
    /// Result of the condition: 0 is normal, null is no data, all else (NaN included) alerts.
    pub value: Option<f64>,
    /// The number people want to see.
    pub shown: Option<f64>,
    /// Numbers of all expression nodes, by refId.
    pub values: BTreeMap<String, Option<f64>>,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluation {
    /// At least one result; label sets are distinct.
    Samples(Vec<Sample>),
    /// The query returned nothing.
    NoData,
}

/// Why results cannot be alerted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Two results cannot be told apart.
    #[error("two results have the same labels {labels}: {hint}")]
    DuplicateLabels {
        /// The labels.
        labels: String,
        /// What usually helps.
        hint: &'static str,
    },
    /// More series than the engine keeps states for.
    #[error("the query returns {found} series, and a rule may have at most {max}")]
    TooManySeries {
        /// Series that came.
        found: usize,
        /// Series allowed.
        max: usize,
    },
}

/// Runs the expressions of a rule over its query results, by refId. `is_firing` tells thresholds with a recovery
/// level which label sets fire now.
pub fn evaluate(
    rule: &Rule,
    results: &BTreeMap<String, Vec<Series>>,
    is_firing: &dyn Fn(&Labels) -> bool,
    now: Time,
) -> Result<Evaluation, EvaluationError> {
    let mut numbers: BTreeMap<&str, Vec<LabelledNumber>> = BTreeMap::new();
    for node in &rule.nodes {
        let computed = match &node.kind {
            NodeKind::Query(_) => continue,
            NodeKind::Reduce { input, reducer, mode } => {
                let series = results.get(input).map_or(&[][..], Vec::as_slice);
                if series.len() > SERIES_PER_RULE_MAX {
                    let max = SERIES_PER_RULE_MAX;
                    return Err(EvaluationError::TooManySeries { found: series.len(), max });
                }
                let by_name = are_told_apart_by_name(series);
                let reduce = |series: &Series| LabelledNumber {
                    labels: if by_name {
                        [(METRIC.to_owned(), series.name.clone())].into()
                    } else {
                        series.labels.clone()
                    },
                    value: reducer.reduce(&series.points, *mode, now),
                };
                let reduced: Vec<LabelledNumber> = series.iter().map(reduce).collect();
                let hint = "select one column, or group by more tags";
                check_distinct(&reduced, hint)?;
                reduced
            }
            NodeKind::Math(expr) => {
                let result = expr.evaluate(&|name| numbers.get(name).map_or(&[][..], Vec::as_slice));
                if result.len() > SERIES_PER_RULE_MAX {
                    let max = SERIES_PER_RULE_MAX;
                    return Err(EvaluationError::TooManySeries { found: result.len(), max });
                }
                result
            }
            NodeKind::Threshold { input, evaluator, recovery } => {
                let mut tested = numbers.get(input.as_str()).cloned().unwrap_or_default();
                for number in &mut tested {
                    number.value = number.value.map(|value| {
                        let firing = match recovery {
                            Some(recovery) if is_firing(&number.labels) => !recovery.holds(value),
                            _ => evaluator.holds(value),
                        };
                        f64::from(u8::from(firing))
                    });
                }
                tested
            }
        };
        numbers.insert(&node.ref_id, computed);
    }
    let decided = numbers.get(rule.condition.as_str()).map_or(&[][..], Vec::as_slice);
    check_distinct(decided, "the expressions combine different label sets")?;
    if decided.is_empty() {
        return Ok(Evaluation::NoData);
    }
    Ok(Evaluation::Samples(decided.iter().map(|number| sample(rule, number, &numbers)).collect()))
}

/// Whether there are several series and none has a label, as columns of one series are: then, as in Grafana, the name of the
/// column is one.
fn are_told_apart_by_name(series: &[Series]) -> bool {
    let names: BTreeSet<&str> = series.iter().map(|series| series.name.as_str()).collect();
    series.len() > 1 && names.len() == series.len() && series.iter().all(|series| series.labels.is_empty())
}

fn sample(rule: &Rule, decided: &LabelledNumber, numbers: &BTreeMap<&str, Vec<LabelledNumber>>) -> Sample {
    let values: BTreeMap<String, Option<f64>> = numbers
        .iter()
        .filter_map(|(name, all)| {
            let exact = all.iter().find(|number| number.labels == decided.labels);
            let number =
                exact.or_else(|| all.iter().find(|number| contains(&decided.labels, &number.labels)))?;
            Some(((*name).to_owned(), number.value))
        })
        .collect();
    let shown = values.get(rule.shown_node()).copied().flatten();
    Sample { labels: decided.labels.clone(), value: decided.value, shown, values }
}

fn check_distinct(numbers: &[LabelledNumber], hint: &'static str) -> Result<(), EvaluationError> {
    let mut labels: Vec<&Labels> = numbers.iter().map(|number| &number.labels).collect();
    labels.sort_unstable();
    match labels.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(EvaluationError::DuplicateLabels { labels: to_text(pair[0]), hint }),
        None => Ok(()),
    }
}

/// The text of a query with Grafana's macros replaced: `$timeFilter`, `$__interval_ms`, `$__interval`, `$interval`.
pub(crate) fn query_text(query: &QueryNode, now: Time) -> String {
    let (from, to) = (now.minus(query.from).millis(), now.minus(query.to).millis());
    query
        .text
        .replace("$timeFilter", &format!("time >= {from}ms and time <= {to}ms"))
        .replace("$__interval_ms", &query.step.as_millis().to_string())
        .replace("$__interval", &interval_text(query.step))
        .replace("$interval", &interval_text(query.step))
}

/// The largest whole unit: `500ms`, `10s`, `1m`.
fn interval_text(step: std::time::Duration) -> String {
    let millis = step.as_millis();
    for (size, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Point, ProcessEnvironment, Sources};

    #[test]
    fn columns_without_labels_are_told_apart_by_name() {
        let text = "rules: [{name: X, query: q, above: 5}]";
        let config = Sources::from_texts([("a.yaml", text)]).parse(&ProcessEnvironment).unwrap();
        let now = Time::from_millis(1_000);
        let series = |name: &str, labels: Labels| Series {
            name: name.to_owned(),
            labels,
            points: vec![Point { time: now, value: Some(7.0) }],
        };
        let labels_of = |series: Vec<Series>| {
            let results = [("query".to_owned(), series)].into();
            evaluate(&config.rules[0], &results, &|_| false, now).map(|evaluation| match evaluation {
                Evaluation::Samples(samples) => {
                    samples.iter().map(|sample| to_text(&sample.labels)).collect()
                }
                Evaluation::NoData => Vec::new(),
            })
        };
        let plain = |name| series(name, Labels::new());
        let both = labels_of(vec![plain("cpu.user"), plain("cpu.system")]);
        assert_eq!(both.unwrap(), ["{__name__=cpu.user}", "{__name__=cpu.system}"]);
        assert_eq!(labels_of(vec![plain("cpu.user")]).unwrap(), ["{}"], "one needs no name");
        let host = Labels::from([("host".to_owned(), "a".to_owned())]);
        let of_host = vec![series("cpu.user", host.clone()), series("cpu.system", host)];
        assert!(matches!(labels_of(of_host), Err(EvaluationError::DuplicateLabels { .. })));
    }
}
