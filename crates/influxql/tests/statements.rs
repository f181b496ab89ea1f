//! What is said to hundreds of right and wrong statements, against answers recorded from a real InfluxDB.

use skywatch_influxql::parse_query;

const RECORDED: &str = include_str!("statements.txt");

struct Entry {
    statement: String,
    /// `Ok`: the canonical text. `Err`: the error, without InfluxDB's prefix.
    answer: Result<String, String>,
}

fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for block in RECORDED.split("\n\n") {
        let marked = |mark: &str| -> Option<String> {
            let lines: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix(mark)).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        };
        let Some(statement) = marked("> ") else { continue };
        let answer = match (marked("= "), marked("! ")) {
            (Some(text), None) => Ok(text),
            (None, Some(error)) => Err(error),
            _ => panic!("one of `=` and `!` belongs to {statement}"),
        };
        entries.push(Entry { statement, answer });
    }
    entries
}

#[test]
fn statements_are_read_as_the_original_reads_them() {
    let entries = entries();
    assert!(entries.len() > 500, "only {} entries were found", entries.len());
    let mut differences = Vec::new();
    for Entry { statement, answer } in entries {
        let ours = parse_query(&statement).map(|query| query.to_string()).map_err(|error| error.to_string());
        let expected = answer.map_err(|error| format!("error parsing query: {error}"));
        if ours != expected {
            differences.push(format!("{statement}\n  expected {expected:?}\n  got      {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn canonical_texts_mean_the_same() {
    for Entry { statement, answer } in entries() {
        let Ok(text) = answer else { continue };
        if text.contains("[REDACTED]") {
            continue; // passwords are not written, so these cannot be read again
        }
        let query = parse_query(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        let again = parse_query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(again, query, "{statement}");
        assert_eq!(again.to_string(), text, "{statement}");
    }
}
