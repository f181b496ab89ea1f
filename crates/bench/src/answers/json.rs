//! Comparison of JSON, place by place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::is_close;

/// The first difference between two answers, in words; `None` if there is none. The order of series, columns and
/// rows counts.
pub(super) fn difference(a: &Value, b: &Value) -> Option<String> {
    difference_at("answer", a, b)
}

fn difference_at(place: &str, a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let different = || {
                a.iter()
                    .zip(b)
                    .enumerate()
                    .find_map(|(at, (a, b))| difference_at(&format!("{place}[{at}]"), a, b))
            };
            if a.len() == b.len() {
                different()
            } else {
                Some(format!("{place}: {} against {} items", a.len(), b.len()))
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            if keys(a) != keys(b) {
                return Some(format!("{place}: keys {:?} against {:?}", keys(a), keys(b)));
            }
            a.iter().find_map(|(key, value)| difference_at(&format!("{place}.{key}"), value, &b[key]))
        }
        (Value::Number(x), Value::Number(y)) => {
            let is_same = x == y || x.as_f64().zip(y.as_f64()).is_some_and(|(x, y)| is_close(x, y));
            (!is_same).then(|| format!("{place}: {x} against {y}"))
        }
        _ => (a != b).then(|| format!("{place}: {a} against {b}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_and_named() {
        let difference = |a: &str, b: &str| {
            let value = |text| serde_json::from_str(text).expect("JSON");
            difference(&value(a), &value(b))
        };
        let a = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","values":[["t",1,0.1],["u",null,2]]}]}]}"#;
        let same = r#"{ "results":[{"series":[{"values":[["t",1,0.10000000000001],["u",null,2.0]],"name":"cpu"}],"statement_id":0}]}"#;
        assert_eq!(difference(a, a), None);
        assert_eq!(difference(a, same), None);
        for (from, to, expected) in [
            ("0.1]", "0.1000001]", "answer.results[0].series[0].values[0][2]: 0.1 against 0.1000001"),
            ("null", "0", "answer.results[0].series[0].values[1][1]: null against 0"),
            (",[\"u\",null,2]", "", "answer.results[0].series[0].values: 2 against 1 items"),
            ("\"cpu\"", "\"mem\"", "answer.results[0].series[0].name: \"cpu\" against \"mem\""),
            (
                "statement_id",
                "id",
                "answer.results[0]: keys {\"series\", \"statement_id\"} against {\"id\", \"series\"}",
            ),
        ] {
            assert_eq!(difference(a, &a.replace(from, to)).as_deref(), Some(expected));
        }
    }
}
