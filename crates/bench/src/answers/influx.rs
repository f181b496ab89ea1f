//! InfluxDB's answers, put together again where they came in chunks.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// The answer as if it had not been cut: one document, each series once, nothing marked as partial.
///
/// # Errors
/// If it is not JSON, or is an error of the server's.
pub(super) fn whole(answer: &[u8]) -> anyhow::Result<Value> {
    let mut documents = serde_json::Deserializer::from_slice(answer).into_iter::<Value>();
    let mut results: Vec<Map<String, Value>> = Vec::new();
    documents.try_for_each(|document| {
        let mut document = document.context("an answer is not JSON")?;
        if let Some(error) = document.get("error") {
            bail!("the answer is an error: {error}");
        }
        let of_document = document.get_mut("results").and_then(Value::as_array_mut);
        for result in of_document.context("an answer has no results")? {
            let result = result.as_object_mut().context("a result is not an object")?;
            if let Some(error) = result.get("error") {
                bail!("the answer is an error: {error}");
            }
            result.shift_remove("partial");
            match results.iter_mut().find(|earlier| earlier.get("statement_id") == result.get("statement_id"))
            {
                Some(earlier) => append_series(earlier, result),
                None => results.push(std::mem::take(result)),
            }
        }
        Ok(())
    })?;
    for series in results.iter_mut().filter_map(|result| result.get_mut("series")?.as_array_mut()).flatten() {
        if let Some(series) = series.as_object_mut() {
            series.shift_remove("partial");
        }
    }
    Ok(serde_json::json!({ "results": results }))
}

/// Appends the series of a later chunk; rows of a series that was cut go to the series that was.
fn append_series(earlier: &mut Map<String, Value>, later: &mut Map<String, Value>) {
    let Some(Value::Array(later)) = later.get_mut("series").map(Value::take) else { return };
    let Some(Value::Array(series)) = earlier.get_mut("series") else {
        earlier.insert("series".to_owned(), later.into());
        return;
    };
    for mut next in later {
        match series.last_mut() {
            Some(last) if is_cut(last) && is_same_series(last, &next) => {
                if let (Some(Value::Array(to)), Some(Value::Array(from))) =
                    (last.get_mut("values"), next.get_mut("values"))
                {
                    to.append(from);
                }
                last["partial"] = is_cut(&next).into();
            }
            _ => series.push(next),
        }
    }
}

fn is_cut(series: &Value) -> bool {
    series.get("partial").and_then(Value::as_bool) == Some(true)
}

fn is_same_series(a: &Value, b: &Value) -> bool {
    ["name", "tags", "columns"].iter().all(|key| a.get(key) == b.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        let chunked = br#"{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","a"],"values":[[1,2],[2,3]],"partial":true}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","a"],"values":[[3,4]]},{"name":"mem","columns":["time","a"],"values":[[3,4]],"partial":true}],"partial":true}]}
            {"results":[{"statement_id":0,"series":[{"name":"mem","tags":{"b":"c"},"columns":["time","a"],"values":[[3,4]]}]}]}"#;
        let text = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","a"],"values":[[1,2],[2,3],[3,4]]},{"name":"mem","columns":["time","a"],"values":[[3,4]]},{"name":"mem","tags":{"b":"c"},"columns":["time","a"],"values":[[3,4]]}]}]}"#;
        assert_eq!(whole(chunked).expect("an answer").to_string(), text);
        assert_eq!(whole(text.as_bytes()).expect("an answer").to_string(), text);
        let partial = text.replace("]]}]}]}", "]],\"partial\":true}]}]}");
        assert_eq!(whole(partial.as_bytes()).expect("an answer").to_string(), text);
    }

    #[test]
    fn errors_are_no_answers() {
        for (text, expected) in [
            ("{", "an answer is not JSON"),
            (r#"{"error":"no"}"#, "the answer is an error: \"no\""),
            (r#"{"results":[{"statement_id":0,"error":"no"}]}"#, "the answer is an error: \"no\""),
            ("{}", "an answer has no results"),
        ] {
            assert_eq!(whole(text.as_bytes()).expect_err("no answer").to_string(), expected);
        }
    }
}
