use super::*;
use crate::metric::Metric;

fn options(layout: Layout, string_as_label: bool) -> Options {
    let names = Names { layout, sanitization: Sanitization::Legacy };
    Options { layout, string_as_label, names, kinds: Kinds::default() }
}

fn text(metrics: &[Metric], options: &Options) -> String {
    let mut families = Families::default();
    for metric in metrics {
        families.add(metric, options, 0, usize::MAX).expect("room");
    }
    written(&families)
}

fn written(families: &Families) -> String {
    let mut out = String::new();
    families.write(&mut out, false, Escaping::Underscores);
    out.lines().filter(|line| !line.starts_with("# HELP")).collect::<Vec<_>>().join("\n")
}

#[test]
fn fields_of_layout_one() {
    let metrics = [
        Metric::new("cpu", 0)
            .tag("cpu", "cpu0")
            .field("usage_idle", 98.5)
            .field("ok", true)
            .field("n", 3_u64),
        Metric::new("up", 0).field("value", 1_i64),
        Metric::new("req", 0).kind(Kind::Counter).field("counter", 5.0).field("gauge", 6.0),
        Metric::new("temp", 0).kind(Kind::Gauge).field("gauge", -1.5e-7),
    ];
    assert_eq!(
        text(&metrics, &options(Layout::One, true)),
        "# TYPE cpu_n untyped\ncpu_n{cpu=\"cpu0\"} 3\n\
         # TYPE cpu_usage_idle untyped\ncpu_usage_idle{cpu=\"cpu0\"} 98.5\n\
         # TYPE req counter\nreq 5\n\
         # TYPE req_gauge counter\nreq_gauge 6\n\
         # TYPE temp gauge\ntemp -1.5e-07\n\
         # TYPE up untyped\nup 1"
    );
}

#[test]
fn fields_of_layout_two() {
    let metrics = [
        Metric::new("cpu", 0).tag("cpu", "cpu0").field("usage_idle", 98.5).field("ok", true),
        Metric::new("prometheus", 0).kind(Kind::Gauge).field("node_load1", 0.25),
        Metric::new("up", 0).field("value", 1_i64),
    ];
    assert_eq!(
        text(&metrics, &options(Layout::Two, true)),
        "# TYPE cpu_ok untyped\ncpu_ok{cpu=\"cpu0\"} 1\n\
         # TYPE cpu_usage_idle untyped\ncpu_usage_idle{cpu=\"cpu0\"} 98.5\n\
         # TYPE node_load1 gauge\nnode_load1 0.25\n\
         # TYPE up_value untyped\nup_value 1"
    );
}

#[test]
fn histograms_and_summaries_of_both_layouts_say_the_same() {
    let one = [
        Metric::new("rpc", 0)
            .kind(Kind::Histogram)
            .tag("m", "a")
            .field("0.5", 3.0)
            .field("count", 10.0)
            .field("0.1", 1.0)
            .field("sum", 4.5),
        Metric::new("gc", 0)
            .kind(Kind::Summary)
            .field("0.99", 0.2)
            .field("0.5", 0.1)
            .field("sum", 9.0)
            .field("count", 20.0),
    ];
    let part = |kind, name: &'static str| Metric::new("prometheus", 0).kind(kind).tag("m", "a").tag(name, "");
    let two = [
        part(Kind::Histogram, "x").field("rpc_count", 10.0).field("rpc_sum", 4.5),
        part(Kind::Histogram, "x").tag("le", "0.5").field("rpc_bucket", 3.0),
        part(Kind::Histogram, "x").tag("le", "0.1").field("rpc_bucket", 1.0),
        part(Kind::Histogram, "x").tag("le", "+Inf").field("rpc_bucket", 10.0),
        Metric::new("prometheus", 0).kind(Kind::Summary).field("gc_count", 20.0).field("gc_sum", 9.0),
        Metric::new("prometheus", 0).kind(Kind::Summary).tag("quantile", "0.99").field("gc", 0.2),
        Metric::new("prometheus", 0).kind(Kind::Summary).tag("quantile", "0.5").field("gc", 0.1),
    ];
    let wanted = "# TYPE gc summary\n\
                  gc{quantile=\"0.5\"} 0.1\ngc{quantile=\"0.99\"} 0.2\ngc_sum 9\ngc_count 20\n\
                  # TYPE rpc histogram\n\
                  rpc_bucket{m=\"a\",le=\"0.1\"} 1\nrpc_bucket{m=\"a\",le=\"0.5\"} 3\n\
                  rpc_bucket{m=\"a\",le=\"+Inf\"} 10\nrpc_sum{m=\"a\"} 4.5\nrpc_count{m=\"a\"} 10";
    assert_eq!(text(&one, &options(Layout::One, true)), wanted);
    assert_eq!(text(&two, &options(Layout::Two, true)), wanted, "an empty tag is no label");
}

#[test]
fn a_string_is_a_label_and_a_new_string_replaces_the_old() {
    let metric = |time, state: &str| {
        Metric::new("vm", time)
            .tag("name", "web \"1\"\n\\")
            .field("state", state)
            .field("x", 1e6)
            .field("name", "no")
    };
    let metrics = [metric(1, "up"), metric(2, "down"), metric(1, "older")];
    assert_eq!(
        text(&metrics, &options(Layout::One, true)),
        "# TYPE vm_x untyped\nvm_x{name=\"web \\\"1\\\"\\n\\\\\",state=\"down\"} 1e+06"
    );
    let without = text(&metrics, &options(Layout::One, false));
    assert_eq!(without, "# TYPE vm_x untyped\nvm_x{name=\"web \\\"1\\\"\\n\\\\\"} 1e+06");
}

#[test]
fn no_two_series_of_a_page_have_the_same_labels() {
    let metrics = [
        Metric::new("m", 1).tag("a", "1").tag("b", "2").field("x", 1.0),
        Metric::new("m", 2).tag("a", "1").field("b", "2").field("x", 2.0),
        Metric::new("m", 3).tag("a-b", "1").tag("a.b", "2").field("y", 3.0),
        Metric::new("m", 4).kind(Kind::Counter).field("x", 4.0),
    ];
    assert_eq!(
        text(&metrics, &options(Layout::One, true)),
        "# TYPE m_x untyped\nm_x{a=\"1\",b=\"2\"} 2\n# TYPE m_y untyped\nm_y{a_b=\"1\"} 3",
        "the newest stays, and of a name the first kind"
    );
}

#[test]
fn series_expire_and_are_bounded() {
    let options = options(Layout::One, true);
    let metric = |name: &str| Metric::new("m", 0).tag("n", name).field("x", 1.0).field("y", 2.0);
    let mut families = Families::default();
    families.add(&metric("a"), &options, 1000, 3).expect("room");
    assert_eq!(families.add(&metric("b"), &options, 2000, 3), Err(Full));
    assert_eq!(families.len(), 3);
    families.add(&metric("a"), &options, 2500, 3).expect("no further series");
    families.expire(2500);
    assert_eq!(written(&families), "# TYPE m_x untyped\nm_x{n=\"a\"} 1\n# TYPE m_y untyped\nm_y{n=\"a\"} 2");
    families.expire(2501);
    assert_eq!((families.len(), written(&families)), (0, String::new()));
}

#[test]
fn kinds_by_name_and_times() {
    let globs = |list: &[&str]| {
        Some(Globs::compile(&list.iter().map(ToString::to_string).collect::<Vec<_>>(), "").expect("valid"))
    };
    let mut options = options(Layout::Two, true);
    options.kinds = Kinds { counter: globs(&["*_total"]), gauge: globs(&["net_x"]) };
    let mut families = Families::default();
    let metric = Metric::new("net", 1_700_000_000_123_456_789).field("rx_total", 1.0).field("x", f64::NAN);
    families.add(&metric, &options, 0, 9).expect("room");
    let mut out = String::new();
    families.write(&mut out, true, Escaping::Underscores);
    assert_eq!(
        out,
        "# HELP net_rx_total Telegraf collected metric\n# TYPE net_rx_total counter\nnet_rx_total 1 1700000000123\n\
         # HELP net_x Telegraf collected metric\n# TYPE net_x gauge\nnet_x NaN 1700000000123\n"
    );
}

#[test]
fn names_of_any_characters_are_quoted_for_those_who_read_them() {
    let mut options = options(Layout::Two, true);
    options.names.sanitization = Sanitization::Utf8;
    let mut families = Families::default();
    let metric = Metric::new("http.server", 0).tag("größe", "1").field("x", 1.0);
    families.add(&metric, &options, 0, 9).expect("room");
    let mut out = String::new();
    families.write(&mut out, false, Escaping::Quotes);
    assert!(
        out.ends_with("# TYPE \"http.server_x\" untyped\n{\"http.server_x\",\"größe\"=\"1\"} 1\n"),
        "{out}"
    );
    assert!(written(&families).ends_with("# TYPE http_server_x untyped\nhttp_server_x{gr__e=\"1\"} 1"));
}
