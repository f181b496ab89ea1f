//! Statistics as points of `_internal`.

use skywatch_model::{
    line::FieldRef,
    serialize::{PointParts, SerializeOptions, append_point},
};

use crate::Statistic;

/// Appends each statistic that has values as a line, with tags of whoever tells it.
pub fn to_lines(statistics: &[Statistic], common: &[(&str, String)], time_ns: i64, lines: &mut String) {
    for statistic in statistics {
        let mut tags: Vec<(&str, &str)> =
            statistic.tags().iter().map(|(key, value)| (*key, value.as_str())).collect();
        tags.extend(common.iter().map(|(key, value)| (*key, value.as_str())));
        let fields: Vec<(&str, FieldRef<'_>)> =
            statistic.fields().iter().map(|(name, value)| (*name, FieldRef::Integer(*value))).collect();
        let point = PointParts {
            measurement: statistic.name(),
            tags: &tags,
            fields: &fields,
            time_ns: Some(time_ns),
        };
        // One without a value is no point; InfluxDB leaves it out too.
        if let Err(error) = append_point(lines, &point, SerializeOptions::default()) {
            tracing::debug!(%error, "a statistic is not recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_is_a_line() {
        let statistics = [
            Statistic::new("httpd").tag("bind", "127.0.0.1:8086").values([("req", 3), ("pingReq", 1)]),
            Statistic::new("shard").tag("path", "/a b/data/1"),
            Statistic::new("cq").values([("queryOk", 0)]),
        ];
        let mut lines = String::new();
        to_lines(&statistics, &[("hostname", "node-1".to_owned())], 10_000_000_000, &mut lines);
        assert_eq!(
            lines,
            "httpd,bind=127.0.0.1:8086,hostname=node-1 pingReq=1i,req=3i 10000000000\n\
             cq,hostname=node-1 queryOk=0i 10000000000\n"
        );
    }
}
