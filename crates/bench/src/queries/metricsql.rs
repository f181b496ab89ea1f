//! Questions as MetricsQL, VictoriaMetrics' language.
//!
//! There, a field is a metric `cpu_usage_user`, and a rollup at the time `t` over `[d]` looks at what lies after
//! `t - d` and not after `t`. Times have milliseconds. So a window of InfluxQL, from `w` on and before `w + d`, is
//! the rollup at `w + d - 1 ms`: exactly the same values, told one window less a millisecond later.
//!
//! ```text
//! InfluxQL    GROUP BY time(1m)      [00:01:00        00:02:00)   told as 00:01:00
//! MetricsQL   [1m] at 00:01:59.999  (00:00:59.999  00:01:59.999]  told as 00:01:59.999
//! ```
//!
//! What has no filter in time in InfluxQL is asked as its users would ask it: the latest row is that of the last
//! five minutes, the latest five windows are asked for by their times. The answers are the same for this data.

use super::{MILLISECOND_NS, QueryType, Question};
use crate::http::Request;

/// How far back the latest row is looked for, as Prometheus' users are used to.
const LATEST_NS: i64 = 300_000_000_000;

/// The time in nanoseconds at which InfluxQL's window would begin that a rollup at `time_ms` is over.
pub(crate) const fn window_start_ns(time_ms: i64, grouping_ns: i64) -> i64 {
    (time_ms + 1) * MILLISECOND_NS - grouping_ns
}

/// The request that asks the question of VictoriaMetrics. Its cache of answers is told to stay out of it, as the
/// others have none.
pub(super) fn request(question: &Question) -> Request {
    let expression = expression(question);
    let Some((start_ns, end_ns, step_ns)) = evaluated_at(question) else {
        let time_ns = question.data_ns.end - MILLISECOND_NS;
        return Request { path: "/api/v1/query", parameters: vec![("query", expression)] }
            .with("time", seconds(time_ns))
            .with("nocache", "1");
    };
    Request { path: "/api/v1/query_range", parameters: vec![("query", expression)] }
        .with("start", seconds(start_ns))
        .with("end", seconds(end_ns))
        .with("step", seconds(step_ns))
        .with("nocache", "1")
}

/// From when to when and how often the expression is evaluated; `None` if once, at the end of the data.
fn evaluated_at(question: &Question) -> Option<(i64, i64, i64)> {
    if let Some(grouping_ns) = question.grouping_ns() {
        let (first, last) = question.groups_ns(grouping_ns);
        let shift = grouping_ns - MILLISECOND_NS;
        return Some((first + shift, last + shift, grouping_ns));
    }
    match question.query {
        // At the times of the rows.
        QueryType::HighCpu { .. } => {
            let (origin, step) = (question.data_ns.start, question.step_ns);
            let steps_before = |time: i64| (time - origin + step - 1).div_euclid(step);
            let first = steps_before(question.window_ns.start);
            let last = steps_before(question.window_ns.end) - 1;
            Some((origin + first * step, origin + last.max(first) * step, step))
        }
        _ => None,
    }
}

fn expression(question: &Question) -> String {
    let metrics = format!("{{__name__=~\"cpu_({})\"{}}}", question.fields().join("|"), hosts(question));
    match question.query {
        QueryType::SingleGroupby { .. } | QueryType::GroupbyOrderbyLimit => {
            format!("max(max_over_time({metrics}[1m])) by (__name__)")
        }
        QueryType::CpuMaxAll { .. } => format!("max(max_over_time({metrics}[1h])) by (__name__)"),
        QueryType::DoubleGroupby { .. } => {
            format!("avg(avg_over_time({metrics}[1h])) by (__name__, hostname)")
        }
        QueryType::Lastpoint => {
            let looked_back = seconds(LATEST_NS.max(question.step_ns));
            format!("last_over_time({metrics}[{looked_back}s])")
        }
        QueryType::HighCpu { .. } => {
            let host = hosts(question);
            let host = host.trim_start_matches(',');
            format!("{metrics} and on(hostname) (cpu_usage_user{{{host}}} > 90)")
        }
    }
}

/// A filter after a comma; nothing for all hosts.
fn hosts(question: &Question) -> String {
    match &question.hosts[..] {
        [] => String::new(),
        [host] => format!(",hostname=\"host_{host}\""),
        hosts => {
            let names: Vec<String> = hosts.iter().map(|host| format!("host_{host}")).collect();
            format!(",hostname=~\"{}\"", names.join("|"))
        }
    }
}

/// Seconds with as many decimals as whole milliseconds need.
fn seconds(time_ns: i64) -> String {
    let ms = time_ns.div_euclid(MILLISECOND_NS);
    match ms.rem_euclid(1000) {
        0 => format!("{}", ms / 1000),
        rest => format!("{}.{rest:03}", ms.div_euclid(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::{MINUTE_NS, tests::question};

    #[test]
    fn texts() {
        let ten = "usage_user|usage_system|usage_idle|usage_nice|usage_iowait|usage_irq|usage_softirq|\
                   usage_steal|usage_guest|usage_guest_nice";
        for (query, path, expression, times) in [
            (
                QueryType::SingleGroupby { metrics: 2, hosts: 2, hours: 1 },
                "/api/v1/query_range",
                "max(max_over_time({__name__=~\"cpu_(usage_user|usage_system)\",hostname=~\"host_3|host_4\"}[1m])) \
                 by (__name__)"
                    .to_owned(),
                "start=1451606459.999 end=1451606639.999 step=60",
            ),
            (
                QueryType::CpuMaxAll { hosts: 1 },
                "/api/v1/query_range",
                format!("max(max_over_time({{__name__=~\"cpu_({ten})\",hostname=\"host_3\"}}[1h])) by (__name__)"),
                "start=1451609999.999 end=1451609999.999 step=3600",
            ),
            (
                QueryType::DoubleGroupby { metrics: 1 },
                "/api/v1/query_range",
                "avg(avg_over_time({__name__=~\"cpu_(usage_user)\"}[1h])) by (__name__, hostname)".to_owned(),
                "start=1451609999.999 end=1451609999.999 step=3600",
            ),
            (
                QueryType::Lastpoint,
                "/api/v1/query",
                format!("last_over_time({{__name__=~\"cpu_({ten})\"}}[300s])"),
                "time=1451692799.999",
            ),
            (
                QueryType::HighCpu { all_hosts: false },
                "/api/v1/query_range",
                format!(
                    "{{__name__=~\"cpu_({ten})\",hostname=\"host_3\"}} and on(hostname) \
                     (cpu_usage_user{{hostname=\"host_3\"}} > 90)"
                ),
                "start=1451606430 end=1451606600 step=10",
            ),
            (
                QueryType::HighCpu { all_hosts: true },
                "/api/v1/query_range",
                format!("{{__name__=~\"cpu_({ten})\"}} and on(hostname) (cpu_usage_user{{}} > 90)"),
                "start=1451606430 end=1451606600 step=10",
            ),
            (
                QueryType::GroupbyOrderbyLimit,
                "/api/v1/query_range",
                "max(max_over_time({__name__=~\"cpu_(usage_user)\"}[1m])) by (__name__)".to_owned(),
                "start=1451606459.999 end=1451606639.999 step=60",
            ),
        ] {
            let request = request(&question(query));
            assert_eq!(request.to_string(), format!("{path} query={expression} {times} nocache=1"));
        }
    }

    #[test]
    fn windows_are_told_by_their_starts() {
        let start_ns = 1_451_606_400_000_000_000;
        assert_eq!(window_start_ns(1_451_606_459_999, MINUTE_NS), start_ns);
    }
}
