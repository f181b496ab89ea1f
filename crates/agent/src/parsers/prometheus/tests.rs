use std::fmt::Write;

use super::*;
use skywatch_model::FieldValue;

fn parser(version: Version) -> Prometheus {
    Prometheus { version, ignore_timestamp: false, open_metrics: false }
}

fn parsed(parser: &mut Prometheus, text: &str) -> (Vec<Metric>, Result<(), ParseError>) {
    let defaults = Defaults { name: "x".into(), now_ns: 5 };
    let mut out = Vec::new();
    let result = parser.parse(text.as_bytes(), &defaults, &mut out);
    (out, result)
}

fn shown(metrics: &[Metric]) -> Vec<String> {
    let show = |metric: &Metric| {
        let mut text = metric.name.to_string();
        for (key, value) in metric.tags() {
            write!(text, ",{key}={value}").expect("to memory");
        }
        for (at, (key, value)) in metric.fields().iter().enumerate() {
            let FieldValue::Float(value) = value else { panic!("{key} is no float") };
            write!(text, "{}{key}={value}", if at == 0 { ' ' } else { ',' }).expect("to memory");
        }
        write!(text, " {} {:?}", metric.time_ns, metric.kind).expect("to memory");
        text
    };
    metrics.iter().map(show).collect()
}

const TEXT: &str = r#"
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200",empty=""} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escapes in values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find:\n\"FILE, }\""} 1.458255915e9
# TYPE load gauge
load 0.5
# TYPE none gauge
none NaN

# TYPE latency histogram
latency_bucket{host="a",le="0.05"} 24054
latency_bucket{host="a",le="1.0"} 33444
latency_bucket{le="+Inf",host="a"} 144320
latency_sum{host="a"} 53423
latency_count{host="a"} 144320
# TYPE rpc summary
rpc{quantile="0.01"} 3102
rpc{quantile="0.5"} NaN
rpc_sum 1.7560473e+07
rpc_count 2693
"#;

#[test]
fn version_one_has_a_metric_for_each_series() {
    let (metrics, result) = parsed(&mut parser(Version::One), TEXT);
    assert_eq!(result, Ok(()));
    assert_eq!(
        shown(&metrics),
        [
            "http_requests_total,code=200,method=post counter=1027 1395066363000000000 Counter",
            "http_requests_total,code=400,method=post counter=3 1395066363000000000 Counter",
            "msdos_file_access_time_seconds,error=Cannot find:\n\"FILE, }\",path=C:\\DIR\\FILE.TXT value=1458255915 5 \
             Untyped",
            "load gauge=0.5 5 Gauge",
            "latency,host=a count=144320,sum=53423,0.05=24054,1=33444,+Inf=144320 5 Histogram",
            "rpc count=2693,sum=17560473,0.01=3102 5 Summary",
        ]
    );
}

#[test]
fn version_two_has_a_metric_for_each_bound() {
    let (metrics, result) = parsed(&mut parser(Version::Two), TEXT);
    assert_eq!(result, Ok(()));
    assert_eq!(
        shown(&metrics)[2..],
        [
            "prometheus,error=Cannot find:\n\"FILE, }\",path=C:\\DIR\\FILE.TXT \
             msdos_file_access_time_seconds=1458255915 5 Untyped",
            "prometheus load=0.5 5 Gauge",
            "prometheus,host=a latency_count=144320,latency_sum=53423 5 Histogram",
            "prometheus,host=a,le=0.05 latency_bucket=24054 5 Histogram",
            "prometheus,host=a,le=1 latency_bucket=33444 5 Histogram",
            "prometheus,host=a,le=+Inf latency_bucket=144320 5 Histogram",
            "prometheus rpc_count=2693,rpc_sum=17560473 5 Summary",
            "prometheus,quantile=0.01 rpc=3102 5 Summary",
        ]
    );
}

#[test]
fn a_histogram_without_its_last_bound_gets_it() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 3\n";
    let (metrics, _) = parsed(&mut parser(Version::Two), text);
    let wanted = [
        "prometheus h_count=3 5 Histogram",
        "prometheus,le=1 h_bucket=2 5 Histogram",
        "prometheus,le=+Inf h_bucket=3 5 Histogram",
    ];
    assert_eq!(shown(&metrics), wanted);
}

#[test]
fn times_can_be_ignored_and_are_seconds_in_openmetrics() {
    let text = "# TYPE a counter\na_total 3 1395066363.5 # {trace_id=\"x\"} 0.5\n# UNIT a s\n# EOF\n";
    let mut open = Prometheus { open_metrics: true, ..parser(Version::One) };
    assert_eq!(shown(&parsed(&mut open, text).0), ["a_total counter=3 1395066363500000000 Counter"]);
    let mut ignoring = Prometheus { ignore_timestamp: true, ..parser(Version::One) };
    assert_eq!(shown(&parsed(&mut ignoring, "a 3 1395066363000").0), ["a value=3 5 Untyped"]);
    assert_eq!(
        shown(&parsed(&mut parser(Version::One), "a 3 -3982045").0),
        ["a value=3 -3982045000000 Untyped"]
    );
}

#[test]
fn names_in_quotes() {
    let text = "# TYPE \"http.req\" counter\n{\"http.req\",\"größe\"=\"1\"} 3\n{ \"b\" , } 4\n";
    let (metrics, result) = parsed(&mut parser(Version::One), text);
    assert_eq!(result, Ok(()));
    assert_eq!(shown(&metrics), ["http.req,größe=1 counter=3 5 Counter", "b value=4 5 Untyped"]);
}

#[test]
fn a_bad_line_costs_only_itself() {
    for (bad, wanted) in [
        ("a{x=\"1\" 3", "neither , nor } after a label, but \"3\""),
        ("a{x=1} 3", "no \" before the value of the label \"x\""),
        ("a{x} 3", "no = after the label"),
        ("a{=\"1\"} 3", "a label without a name"),
        ("a{x=\"1} 3", "a \" is missing"),
        ("a", "no value in \"a\""),
        ("a x", "\"x\" of a is no number"),
        ("a 1 x", "\"x\" of a is no number"),
        ("a 1 2 3", "\"3\" after the time of a"),
        ("{x=\"1\"} 3", "no name in"),
        ("# TYPE a meter", "\"meter\" of a is no type"),
        ("a{\"", "a \" is missing"),
    ] {
        let (metrics, result) = parsed(&mut parser(Version::One), &format!("before 1\n{bad}\nafter 2\n"));
        assert_eq!(metrics.len(), 2, "{bad}");
        let error = result.expect_err(bad).to_string();
        assert!(error.contains(wanted) && error.ends_with("(line 2)"), "{bad}: {error}");
    }
}

#[test]
fn what_is_written_is_read() {
    use crate::exposition::{Escaping, Families, Kinds, Layout, Names, Options, Sanitization};
    let (metrics, _) = parsed(&mut parser(Version::Two), TEXT);
    let names = Names { layout: Layout::Two, sanitization: Sanitization::Legacy };
    let options = Options { layout: Layout::Two, string_as_label: true, names, kinds: Kinds::default() };
    let mut families = Families::default();
    for metric in &metrics {
        families.add(metric, &options, 0, usize::MAX).expect("room");
    }
    let mut text = String::new();
    families.write(&mut text, true, Escaping::Underscores);
    let sorted = |metrics: &[Metric]| {
        let mut lines = shown(metrics);
        lines.retain(|line| !line.contains("msdos"));
        lines.sort();
        lines
    };
    // Times of the text are in milliseconds.
    let mut again = parser(Version::Two);
    let text = text.replace(" 0\n", "\n");
    assert_eq!(sorted(&parsed(&mut again, &text).0), sorted(&metrics));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_fail_otherwise(text in "[a-z{}\"\\\\,=# \n0-9.eé]{0,80}") {
        parsed(&mut parser(Version::Two), &text).1.ok();
    }
}
