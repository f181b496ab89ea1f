//! Questions as InfluxQL, worded as the suite words them.

use super::{QueryType, Question};
use crate::http::Request;

/// The request that asks the question of InfluxDB or Skywatch.
pub(super) fn request(question: &Question) -> Request {
    let request = Request::influxql(text(question));
    match question.query {
        // Unless they are chunked, InfluxDB marks answers of more than 10,000 rows as partial.
        QueryType::HighCpu { .. } => request.with("chunked", "true"),
        _ => request,
    }
}

fn text(question: &Question) -> String {
    match question.query {
        QueryType::SingleGroupby { .. } => format!(
            "SELECT {} FROM cpu WHERE {} AND {} GROUP BY time(1m)",
            calls("max", question),
            hosts(question),
            window(question),
        ),
        QueryType::CpuMaxAll { .. } => format!(
            "SELECT {} FROM cpu WHERE {} AND {} GROUP BY time(1h)",
            calls("max", question),
            hosts(question),
            window(question),
        ),
        QueryType::DoubleGroupby { .. } => {
            format!(
                "SELECT {} FROM cpu WHERE {} GROUP BY time(1h), hostname",
                calls("mean", question),
                window(question)
            )
        }
        QueryType::Lastpoint => "SELECT * FROM cpu GROUP BY hostname ORDER BY time DESC LIMIT 1".to_owned(),
        QueryType::HighCpu { all_hosts: false } => format!(
            "SELECT * FROM cpu WHERE usage_user > 90.0 AND {} AND {}",
            hosts(question),
            window(question)
        ),
        QueryType::HighCpu { all_hosts: true } => {
            format!("SELECT * FROM cpu WHERE usage_user > 90.0 AND {}", window(question))
        }
        QueryType::GroupbyOrderbyLimit => format!(
            "SELECT max(usage_user) FROM cpu WHERE time < '{}' GROUP BY time(1m) ORDER BY time DESC LIMIT 5",
            rfc3339(question.window_ns.end)
        ),
    }
}

fn calls(function: &str, question: &Question) -> String {
    let calls: Vec<String> = question.fields().iter().map(|field| format!("{function}({field})")).collect();
    calls.join(", ")
}

fn hosts(question: &Question) -> String {
    let clauses: Vec<String> =
        question.hosts.iter().map(|host| format!("hostname = 'host_{host}'")).collect();
    format!("({})", clauses.join(" OR "))
}

fn window(question: &Question) -> String {
    let window = &question.window_ns;
    format!("time >= '{}' AND time < '{}'", rfc3339(window.start), rfc3339(window.end))
}

fn rfc3339(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .map_or_else(|error| error.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::tests::question;

    #[test]
    fn texts() {
        let window = "time >= '2016-01-01T00:00:30Z' AND time < '2016-01-01T00:03:30Z'";
        for (query, expected) in [
            (
                QueryType::SingleGroupby { metrics: 2, hosts: 2, hours: 1 },
                format!(
                    "SELECT max(usage_user), max(usage_system) FROM cpu \
                     WHERE (hostname = 'host_3' OR hostname = 'host_4') AND {window} GROUP BY time(1m)"
                ),
            ),
            (
                QueryType::CpuMaxAll { hosts: 1 },
                format!(
                    "SELECT max(usage_user), max(usage_system), max(usage_idle), max(usage_nice), \
                     max(usage_iowait), max(usage_irq), max(usage_softirq), max(usage_steal), max(usage_guest), \
                     max(usage_guest_nice) FROM cpu WHERE (hostname = 'host_3') AND {window} GROUP BY time(1h)"
                ),
            ),
            (
                QueryType::DoubleGroupby { metrics: 1 },
                format!("SELECT mean(usage_user) FROM cpu WHERE {window} GROUP BY time(1h), hostname"),
            ),
            (
                QueryType::Lastpoint,
                "SELECT * FROM cpu GROUP BY hostname ORDER BY time DESC LIMIT 1".to_owned(),
            ),
            (
                QueryType::HighCpu { all_hosts: false },
                format!("SELECT * FROM cpu WHERE usage_user > 90.0 AND (hostname = 'host_3') AND {window}"),
            ),
            (
                QueryType::HighCpu { all_hosts: true },
                format!("SELECT * FROM cpu WHERE usage_user > 90.0 AND {window}"),
            ),
            (
                QueryType::GroupbyOrderbyLimit,
                "SELECT max(usage_user) FROM cpu WHERE time < '2016-01-01T00:03:30Z' GROUP BY time(1m) \
                 ORDER BY time DESC LIMIT 5"
                    .to_owned(),
            ),
        ] {
            let request = request(&question(query));
            assert_eq!(request.path, "/query");
            assert_eq!(request.parameters[1], ("q", expected));
            let is_chunked = request.parameters.contains(&("chunked", "true".to_owned()));
            assert_eq!(is_chunked, matches!(query, QueryType::HighCpu { .. }));
        }
    }

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        assert_eq!(rfc3339(1_451_606_400_000_000_000), "2016-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_451_606_401_500_000_000), "2016-01-01T00:00:01.5Z");
    }
}
