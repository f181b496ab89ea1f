//! What was measured, for people and for programs: a Markdown table with a column for each server, how many times
//! better the first is than each other, and the target; and the raw figures as JSON.

mod cardinality;
mod cluster;
mod machine;
mod suite;

use serde_json::{Value, json};

pub(crate) use self::{cardinality::cardinality, cluster::cluster, suite::suite};
use crate::process::Kind;

/// The finished report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) markdown: String,
    /// Raw figures.
    pub(crate) json: Value,
    /// Answers that differ between servers, and servers and queries that failed.
    pub(crate) faults: Vec<String>,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

/// A figure of one server, or why there is none.
type Figure = Result<f64, String>;

#[derive(Debug)]
struct Row {
    what: String,
    better: Better,
    /// In the order of the columns.
    figures: Vec<Figure>,
    /// What we mean to reach, on the workload the targets are for.
    target: Option<&'static str>,
}

/// Columns: the servers, in order.
#[derive(Debug)]
struct Table {
    servers: Vec<(Kind, String)>,
    rows: Vec<Row>,
}

impl Table {
    /// Markdown; reasons for missing figures follow as notes.
    fn markdown(&self) -> String {
        // Ratios are of us to others; without us there are none.
        let peers = match self.servers.split_first() {
            Some(((Kind::Skywatch, _), peers)) => peers,
            _ => &[],
        };
        let has_targets = self.rows.iter().any(|row| row.target.is_some());
        let mut head: Vec<String> = self.servers.iter().map(|(_, title)| title.clone()).collect();
        head.extend(peers.iter().map(|(kind, _)| format!("against {}", kind.name())));
        head.extend(has_targets.then(|| "target".to_owned()));
        let mut text = format!("| | {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len()));
        let mut notes: Vec<&str> = Vec::new();
        for row in &self.rows {
            let mut cells: Vec<String> = row.figures.iter().map(|figure| cell(figure, &mut notes)).collect();
            cells.extend(row.figures.iter().skip(1).take(peers.len()).map(|peer| row.ratio(peer)));
            cells.extend(has_targets.then(|| row.target.unwrap_or_default().to_owned()));
            text += &format!("| {} | {} |\n", row.what, cells.join(" | "));
        }
        for (at, note) in notes.iter().enumerate() {
            text += &format!("\n[{}] {note}\n", at + 1);
        }
        text
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let figures: Vec<Value> = row
                .figures
                .iter()
                .map(|figure| {
                    figure.as_ref().map_or_else(|error| json!({ "error": error }), |&value| json!(value))
                })
                .collect();
            json!({
                "what": row.what,
                "better": if row.better == Better::Higher { "higher" } else { "lower" },
                "figures": figures,
                "target": row.target,
            })
        });
        rows.collect()
    }
}

impl Row {
    /// How many times better the first is than this one.
    fn ratio(&self, peer: &Figure) -> String {
        match (&self.figures[0], peer) {
            (Ok(own), Ok(peer)) => {
                let ratio = if self.better == Better::Higher { own / peer } else { peer / own };
                if ratio.is_finite() { format!("{} x", three_digits(ratio)) } else { "-".to_owned() }
            }
            _ => "-".to_owned(),
        }
    }
}

fn cell<'a>(figure: &'a Figure, notes: &mut Vec<&'a str>) -> String {
    match figure {
        Ok(figure) => three_digits(*figure),
        Err(reason) => {
            let at = notes.iter().position(|note| note == reason).unwrap_or_else(|| {
                notes.push(reason);
                notes.len() - 1
            });
            format!("failed [{}]", at + 1)
        }
    }
}

/// A figure with three significant digits and no exponent.
fn three_digits(figure: f64) -> String {
    if !figure.is_finite() {
        return "-".to_owned();
    }
    let digits_before = if figure.abs() < 1.0 { 0 } else { figure.abs().log10().floor() as i32 + 1 };
    let decimals = if figure.abs() < 1.0 { 3 } else { (3 - digits_before).max(0) };
    format!("{figure:.*}", decimals as usize)
}

fn duration(ns: i64) -> String {
    humantime::format_duration(std::time::Duration::from_nanos(ns.unsigned_abs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (figure, text) in [
            (0.0, "0.000"),
            (0.3456, "0.346"),
            (1.0, "1.00"),
            (9.876, "9.88"),
            (99.99, "100.0"),
            (123.4, "123"),
            (1818.0, "1818"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(three_digits(figure), text);
        }
    }

    #[test]
    fn a_column_for_each_server_each_ratio_and_the_target() {
        let row = |what: &str, better, figures: Vec<Figure>, target| Row {
            what: what.to_owned(),
            better,
            figures,
            target,
        };
        let mut table = Table {
            servers: vec![
                (Kind::Skywatch, "Skywatch 1".to_owned()),
                (Kind::Influxdb, "InfluxDB 2".to_owned()),
                (Kind::VictoriaMetrics, "VictoriaMetrics 3".to_owned()),
            ],
            rows: vec![
                row("rate", Better::Higher, vec![Ok(10.0), Ok(2.5), Ok(5.0)], Some("9")),
                row("time", Better::Lower, vec![Ok(2.0), Ok(6.0), Err("too slow".to_owned())], None),
                row(
                    "size",
                    Better::Lower,
                    vec![Err("gone".to_owned()), Ok(6.0), Err("too slow".to_owned())],
                    None,
                ),
            ],
        };
        assert_eq!(
            table.markdown(),
            "| | Skywatch 1 | InfluxDB 2 | VictoriaMetrics 3 | against InfluxDB | against VictoriaMetrics | target |\n\
             |---|---:|---:|---:|---:|---:|---:|\n\
             | rate | 10.0 | 2.50 | 5.00 | 4.00 x | 2.00 x | 9 |\n\
             | time | 2.00 | 6.00 | failed [1] | 3.00 x | - |  |\n\
             | size | failed [2] | 6.00 | failed [1] | - | - |  |\n\
             \n[1] too slow\n\n[2] gone\n"
        );
        assert_eq!(table.json()[1]["figures"], json!([2.0, 6.0, { "error": "too slow" }]));
        table.servers.remove(0);
        table.rows.truncate(1);
        table.rows[0].figures.drain(..1);
        table.rows[0].target = None;
        assert_eq!(
            table.markdown(),
            "| | InfluxDB 2 | VictoriaMetrics 3 |\n|---|---:|---:|\n| rate | 2.50 | 5.00 |\n"
        );
    }
}
