//! Which of its two languages a data source is asked in: a rule says so nowhere but in the first words of its query.

/// Words that statements of InfluxQL begin with.
const INFLUXQL: &[&str] = &["select", "show", "explain"];
/// Words that programs in Flux begin with.
const FLUX: &[&str] = &["package", "import", "option", "builtin"];

/// Why a query in Flux cannot be one of a rule, with what to do, if `text` is one.
pub(super) fn refuse_flux(text: &str) -> Option<&'static str> {
    is_flux(text).then_some(
        "\"query\" is in Flux, and rules are asked in InfluxQL alone: write the query in InfluxQL (SELECT mean(\"x\") FROM \"m\" \
         WHERE $timeFilter GROUP BY time($__interval), \"host\"), or leave this rule to Grafana",
    )
}

/// As the console tells panels apart: their first words have nothing in common, and what begins like neither is Flux when it
/// pipes.
fn is_flux(text: &str) -> bool {
    let text = without_comments(text);
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = (text[..end].to_lowercase(), &text[end..]);
    if INFLUXQL.contains(&word.as_str()) && rest.starts_with(char::is_whitespace) {
        return false;
    }
    let mut rest = rest;
    while let Some(more) = rest.strip_prefix('.') {
        rest = more.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    FLUX.contains(&word.as_str()) && rest.starts_with(char::is_whitespace)
        || !word.is_empty() && rest.trim_start().starts_with(['(', '='])
        || text.starts_with('@')
        || text.contains("|>")
}

fn without_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let rest = if text.starts_with("//") || text.starts_with("--") {
            text.find('\n').map(|end| &text[end..])
        } else if text.starts_with("/*") {
            text.find("*/").map(|end| &text[end + 2..])
        } else {
            return text;
        };
        text = rest.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_tell_the_languages_apart() {
        for text in [
            "from(bucket: \"telegraf\") |> range(start: -5m)",
            "// what is busy\nimport \"math\"\nfrom(bucket: v.bucket)",
            "data = from(bucket: \"b\")\ndata |> last()",
            "option now = () => 2020-01-01T00:00:00Z",
            "array.from(rows: [])",
            "/* a */ @experimental(a: 1)",
        ] {
            assert!(is_flux(text), "{text}");
        }
        for text in [
            "SELECT mean(\"x\") FROM \"cpu\" WHERE $timeFilter",
            "-- all\nselect\n last(x) from m where s = '|>'",
            "SHOW SERIES CARDINALITY",
            "q",
            "",
        ] {
            assert!(!is_flux(text), "{text}");
        }
    }
}
