//! HAProxy's statistics, read from its CSV. Pure.
//!
//! The first line names the columns, after `# `; there is one line for each frontend, backend, server and listener. A
//! column is left out where it is empty, or where a number is expected and there is none.

use crate::metric::Metric;

/// Columns that hold texts.
const TEXTS: [&str; 9] =
    ["addr", "agent_status", "check_status", "cookie", "last_agt", "last_chk", "mode", "status", "tracked"];

/// Columns that Telegraf does not report.
const SKIPPED: [&str; 2] = ["agent_desc", "check_desc"];

/// Telegraf's names of columns.
const RENAMED: [(&str, &str); 12] = [
    ("pxname", "proxy"),
    ("svname", "sv"),
    ("act", "active_servers"),
    ("bck", "backup_servers"),
    ("cli_abrt", "cli_abort"),
    ("srv_abrt", "srv_abort"),
    ("hrsp_1xx", "http_response.1xx"),
    ("hrsp_2xx", "http_response.2xx"),
    ("hrsp_3xx", "http_response.3xx"),
    ("hrsp_4xx", "http_response.4xx"),
    ("hrsp_5xx", "http_response.5xx"),
    ("hrsp_other", "http_response.other"),
];

/// What a line is about, by the number in its column `type`.
const TYPES: [&str; 4] = ["frontend", "backend", "server", "listener"];

/// The columns of an answer, at most; HAProxy 3 has about 120.
const COLUMNS_MAX: usize = 1024;

/// What a column becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Tag,
    Type,
    Text,
    Integer,
    Unsigned,
    Skipped,
}

impl Column {
    fn of(name: &str) -> Self {
        match name {
            "pxname" | "svname" => Self::Tag,
            "type" => Self::Type,
            // Minus one stands for never.
            "lastsess" => Self::Integer,
            _ if name.is_empty() || SKIPPED.contains(&name) => Self::Skipped,
            _ if TEXTS.contains(&name) => Self::Text,
            _ => Self::Unsigned,
        }
    }
}

/// One metric for each line. An error is one of the answer as a whole.
pub(super) fn parse(
    answer: &[u8],
    server: &str,
    keep_field_names: bool,
    now_ns: i64,
) -> Result<Vec<Metric>, String> {
    let Some(table) = answer.trim_ascii_start().strip_prefix(b"#") else {
        return Err(format!("no statistics in the answer, which begins with {:?}", beginning(answer)));
    };
    let mut reader =
        csv::ReaderBuilder::new().has_headers(true).flexible(true).from_reader(table.trim_ascii_start());
    let header = reader.byte_headers().map_err(|error| format!("the names of the columns: {error}"))?;
    if header.len() > COLUMNS_MAX {
        return Err(format!("{} columns are more than {COLUMNS_MAX}", header.len()));
    }
    let columns: Vec<(Column, String)> = header
        .iter()
        .map(|name| {
            let name = String::from_utf8_lossy(name);
            (Column::of(&name), if keep_field_names { name.into_owned() } else { renamed(&name) })
        })
        .collect();
    if !columns.iter().any(|(column, _)| *column == Column::Type) {
        return Err(format!("no column \"type\" in the answer, which begins with {:?}", beginning(answer)));
    }
    let mut metrics = Vec::new();
    for record in reader.into_byte_records() {
        let record = record.map_err(|error| error.to_string())?;
        let metric = Metric::new("haproxy", now_ns).tag("server", server);
        metrics.push(line(metric, &columns, &record));
    }
    Ok(metrics)
}

fn line(mut metric: Metric, columns: &[(Column, String)], record: &csv::ByteRecord) -> Metric {
    for ((column, name), value) in columns.iter().zip(record) {
        if value.is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(value);
        match column {
            Column::Tag => metric.set_tag(name.clone(), text),
            Column::Type => {
                if let Some(name_of_type) = text.parse().ok().and_then(|at: usize| TYPES.get(at)) {
                    metric.set_tag("type", *name_of_type);
                }
            }
            Column::Text => metric.set_field(name.clone(), text.into_owned()),
            Column::Integer => {
                if let Ok(number) = text.parse::<i64>() {
                    metric.set_field(name.clone(), number);
                }
            }
            Column::Unsigned => {
                if let Ok(number) = text.parse::<u64>() {
                    metric.set_field(name.clone(), number);
                }
            }
            Column::Skipped => {}
        }
    }
    metric
}

fn renamed(name: &str) -> String {
    RENAMED.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| to).to_owned()
}

/// The first line of an answer that is not understood: often HAProxy's own words, as "Permission denied".
fn beginning(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.trim_start().lines().next().unwrap_or_default().chars().take(120).collect()
}
