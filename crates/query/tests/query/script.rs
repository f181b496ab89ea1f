//! Scripts of writes, queries and answers.
//!
//! ```text
//! # A comment.
//! load DATABASE [RETENTION_POLICY]
//! cpu,host=a value=1 1000000000
//!
//! query DATABASE
//! SELECT value FROM cpu
//! expect
//! {"results":[...]}
//! ```
//!
//! A block of lines ends at an empty line. Answers are InfluxDB's own, with times as epochs in nanoseconds; those
//! that differ on purpose stand after `expect skywatch`, with a comment saying why.

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Write these points.
    Load { database: String, policy: Option<String>, lines: String },
    /// Ask this and get that.
    Query(Query),
}

/// A query and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Where it stands in the file.
    pub(crate) line: usize,
    /// Database of the request; may be empty.
    pub(crate) database: String,
    /// InfluxQL.
    pub(crate) text: String,
    /// JSON.
    pub(crate) answer: String,
    /// Whether InfluxDB answers the same.
    pub(crate) as_influxdb: bool,
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let mut words = line.split_whitespace();
        match words.next() {
            None | Some("#") => {}
            Some("load") => {
                let database = words.next().expect("a database").to_owned();
                let policy = words.next().map(str::to_owned);
                let mut body = String::new();
                while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
                    body.push_str(line);
                    body.push('\n');
                }
                steps.push(Step::Load { database, policy, lines: body });
            }
            Some("query") => {
                let database = words.next().unwrap_or_default().to_owned();
                let mut text = Vec::new();
                let mut as_influxdb = true;
                for (_, line) in lines.by_ref() {
                    if line == "expect" || line == "expect skywatch" {
                        as_influxdb = line == "expect";
                        break;
                    }
                    text.push(line);
                }
                let (_, answer) = lines.next().expect("an answer");
                let text = text.join("\n");
                steps.push(Step::Query(Query {
                    line: index + 1,
                    database,
                    text,
                    answer: answer.to_owned(),
                    as_influxdb,
                }));
            }
            Some(other) => panic!("line {}: {other}?", index + 1),
        }
    }
    steps
}
