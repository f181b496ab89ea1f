//! The answer to `mntr`. Pure.
//!
//! ```text
//! zk_version<TAB>3.8.0-1--1, built on 2022-10-16T20:51:18Z
//! zk_server_state<TAB>leader
//! zk_avg_latency<TAB>0.0
//! zk_packets_received<TAB>39
//! ```

use crate::metric::Metric;

/// One metric of all lines. A line that is not understood fails the answer.
pub(super) fn parse(answer: &[u8], parse_floats: bool, now_ns: i64) -> Result<Metric, String> {
    let text = String::from_utf8_lossy(answer);
    if text.trim().is_empty() {
        return Err(
            "an empty answer; is this the port for clients, and is TLS asked for as the server has it?"
                .to_owned(),
        );
    }
    if text.contains("is not executed because it is not in the whitelist") {
        return Err(
            "the server does not allow the command; add mntr to 4lw.commands.whitelist in its zoo.cfg"
                .to_owned(),
        );
    }
    if text.contains("is not currently serving requests") {
        return Err("the server is up and serves no requests: it has no quorum".to_owned());
    }
    let mut metric = Metric::new("zookeeper", now_ns);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) =
            pair(line).ok_or_else(|| format!("cannot understand the line {:?}", shortened(line)))?;
        if key == "server_state" {
            metric.set_tag("state", value);
        } else if let Ok(number) = value.parse::<i64>() {
            metric.set_field(key.to_owned(), number);
        } else if let Some(number) = value.parse::<f64>().ok().filter(|_| parse_floats) {
            // Statistics of nothing yet are no numbers, and no field can hold them.
            if number.is_finite() {
                metric.set_field(key.to_owned(), number);
            }
        } else {
            metric.set_field(key.to_owned(), value);
        }
    }
    Ok(metric)
}

/// The key without `zk_`, and the first word of the value: versions are followed by when they were built.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("zk_")?.split_once(char::is_whitespace)?;
    let value = value.trim_start();
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')));
    let value = value.get(..end.unwrap_or(value.len()))?;
    (!key.is_empty() && !value.is_empty()).then_some((key, value))
}

fn shortened(line: &str) -> String {
    line.chars().take(120).collect()
}
