//! However points are cut into shards and blocks, with statistics or without, and however many threads read them:
//! the answers are the same.

use std::{fmt::Write, num::NonZeroUsize, sync::Arc};

use crate::node::{Layout, MemoryNode, PLAIN};
use proptest::prelude::*;
use skywatch_query::{Executor, Limits, MemoryStatistics, QueryRequest};

const SERIES: usize = 5;

/// One row: which series, how long after the row before, which fields.
#[derive(Debug, Clone)]
struct Row {
    series: usize,
    gap: i64,
    float: Option<i32>,
    integer: Option<i16>,
    text: Option<u8>,
}

fn row() -> impl Strategy<Value = Row> {
    let float = proptest::option::weighted(0.8, -400i32..400);
    let integer = proptest::option::weighted(0.7, any::<i16>());
    let text = proptest::option::weighted(0.3, 0u8..4);
    (0..SERIES, prop_oneof![4 => 1i64..5, 1 => 1i64..300], float, integer, text)
        .prop_map(|(series, gap, float, integer, text)| Row { series, gap, float, integer, text })
}

/// Line protocol. No two rows share a time, so that there is one order; floats are quarters, so that every order
/// of adding gives the same sum.
fn lines(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut time = -200;
    for row in rows {
        time += row.gap;
        let mut fields = Vec::new();
        fields.extend(row.float.map(|value| format!("f={}", f64::from(value) / 4.0)));
        fields.extend(row.integer.map(|value| format!("i={value}i")));
        fields.extend(row.text.map(|value| format!("s=\"t{value}\"")));
        if !fields.is_empty() {
            let rack = if row.series.is_multiple_of(2) { ",rack=even" } else { "" };
            writeln!(body, "m,host=h{}{rack} {} {time}", row.series, fields.join(",")).expect("fits");
        }
    }
    body
}

fn layout() -> impl Strategy<Value = Layout> {
    let shard_ns = prop_oneof![Just(7i64), Just(64), Just(1000), Just(PLAIN.shard_ns)];
    let block_rows = prop_oneof![1usize..9, Just(1000)];
    let span_ns = prop_oneof![Just(0i64), Just(1), Just(5), Just(10), Just(500)];
    (shard_ns, 1u64..4, block_rows, any::<bool>(), span_ns, any::<bool>()).prop_map(
        |(shard_ns, partitions, block_rows, blocks, span_ns, end_rows)| Layout {
            name: "random",
            shard_ns,
            partitions,
            block_rows,
            statistics: MemoryStatistics { blocks, span_ns, end_rows },
            shared_schema: true,
        },
    )
}

fn query() -> impl Strategy<Value = String> {
    let fields = prop_oneof![
        Just("count(f), sum(f), mean(f), min(f), max(f), first(f), last(f), spread(f)"),
        Just("count(i), sum(i), mean(i), min(i), max(i), first(i), last(i), spread(i)"),
        Just("median(f), percentile(i, 40), mode(i), stddev(i)"),
        Just("max(f), host, i, s"),
        Just("last(i), host, s"),
        Just("first(s)"),
        Just("min(i)"),
        Just("last(f)"),
        Just("percentile(f, 75), host"),
        Just("top(i, 3), host, s"),
        Just("bottom(f, 2)"),
        Just("top(f, host, 2), i"),
        Just("bottom(i, rack, 4)"),
        Just("sample(f, 1000), host"),
        Just("sample(i, 1000), max(f)"),
        Just("integral(f), integral(i, 1h)"),
        Just("distinct(s)"),
        Just("count(distinct(s)), count(s)"),
        Just("sum(f) + mean(i) * 2, count(*)"),
        Just("*"),
        Just("f, host"),
        Just("i * 2 + f, s"),
    ];
    let conditions = prop_oneof![
        3 => Just(""),
        1 => Just(" AND f > 0"),
        1 => Just(" AND host =~ /[123]/"),
        1 => Just(" AND (rack = 'even' OR i < 0)"),
        1 => Just(" AND s != 't1'"),
    ];
    let windows = prop_oneof![
        Just(None),
        Just(Some("time(10ns)")),
        Just(Some("time(37ns, 5ns)")),
        Just(Some("time(500ns)"))
    ];
    let tags = prop_oneof![Just(None), Just(Some("host")), Just(Some("rack")), Just(Some("*"))];
    let fill = prop_oneof![
        Just(""),
        Just(" fill(none)"),
        Just(" fill(previous)"),
        Just(" fill(linear)"),
        Just(" fill(3)")
    ];
    let tail = prop_oneof![3 => Just(""), 1 => Just(" LIMIT 3"), 1 => Just(" LIMIT 2 OFFSET 1")];
    let range = (-250i64..600, 1i64..900);
    (fields, conditions, windows, tags, fill, tail, any::<bool>(), range).prop_map(
        |(fields, condition, window, tags, fill, tail, descending, (start, length))| {
            let aggregates = fields.contains('(');
            let mut group: Vec<&str> = tags.into_iter().collect();
            group.extend(window.filter(|_| aggregates));
            let group = if group.is_empty() { String::new() } else { format!(" GROUP BY {}", group.join(", ")) };
            let fill = if aggregates { fill } else { "" };
            let order = if descending { " ORDER BY time DESC" } else { "" };
            let end = start + length;
            format!(
                "SELECT {fields} FROM m WHERE time >= {start} AND time < {end}{condition}{group}{fill}{order}{tail}"
            )
        },
    )
}

fn node(layout: Layout, lines: &str, worker_threads: usize) -> Executor {
    let backend = MemoryNode::new(layout);
    backend.load("d", None, lines);
    Executor::new(Arc::new(backend), Limits { worker_threads, ..Limits::default() })
}

/// Line protocol of many series whose rows share times, with tenths, whose sums depend on the order of adding, and both
/// zeros.
fn crowded_lines(rows: &[(u8, i64, Option<i8>, Option<i16>)]) -> String {
    let mut body = String::new();
    for (series, time, float, integer) in rows {
        let float = float.map(|value| match value {
            0 => "f=-0.0".to_owned(),
            value => format!("f={}", f64::from(value.saturating_add(1)) / 10.0),
        });
        let fields: Vec<String> =
            float.into_iter().chain(integer.map(|value| format!("i={value}i"))).collect();
        if !fields.is_empty() {
            writeln!(body, "m,host=h{series},rack=r{} {} {time}", series % 3, fields.join(","))
                .expect("fits");
        }
    }
    body
}

fn crowded_query() -> impl Strategy<Value = String> {
    let fields = prop_oneof![
        Just("sum(f), mean(f), min(f), max(f), count(i)"),
        Just("mean(i), sum(i), spread(f), first(f), last(f)"),
        Just("max(f)"),
        Just("min(f)"),
        Just("last(f)"),
        Just("last(i), *"),
        Just("first(i), host"),
        Just("*"),
        Just("f"),
        Just("i, rack"),
    ];
    let conditions = prop_oneof![
        3 => Just(""),
        1 => Just(" AND f > 3"),
        1 => Just(" AND (i < -30000 OR f >= 12.5)"),
        1 => Just(" AND 12.3 <= f AND i = 7"),
    ];
    let windows = prop_oneof![
        Just(None),
        Just(Some("time(10ns)")),
        Just(Some("time(20ns)")),
        Just(Some("time(500ns)"))
    ];
    let tags = prop_oneof![2 => Just(None), 1 => Just(Some("host")), 1 => Just(Some("rack"))];
    let fill = prop_oneof![Just(""), Just(" fill(none)"), Just(" fill(previous)"), Just(" fill(linear)")];
    let tail = prop_oneof![
        2 => Just(""),
        1 => Just(" LIMIT 1"),
        1 => Just(" LIMIT 5"),
        1 => Just(" LIMIT 2 OFFSET 3"),
    ];
    let start = prop_oneof![Just(None), (-20i64..200).prop_map(Some)];
    (fields, conditions, windows, tags, fill, tail, any::<bool>(), start, 1i64..400).prop_map(
        |(fields, condition, window, tags, fill, tail, descending, start, end)| {
            let aggregates = fields.contains('(');
            let mut group: Vec<&str> = tags.into_iter().collect();
            group.extend(window.filter(|_| aggregates));
            let group =
                if group.is_empty() { String::new() } else { format!(" GROUP BY {}", group.join(", ")) };
            let fill = if aggregates { fill } else { "" };
            let order = if descending { " ORDER BY time DESC" } else { "" };
            let start = start.map_or_else(String::new, |start| format!(" AND time >= {start}"));
            format!("SELECT {fields} FROM m WHERE time < {end}{start}{condition}{group}{fill}{order}{tail}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    /// To the last bit, and in the same order where rows share a time.
    #[test]
    fn answers_do_not_depend_on_statistics(
        rows in proptest::collection::vec((0u8..40, -20i64..200, proptest::option::weighted(0.9, any::<i8>()), proptest::option::of(any::<i16>())), 1..400),
        queries in proptest::collection::vec(crowded_query(), 6),
        block_rows in prop_oneof![1usize..9, Just(1000)],
        shard_ns in prop_oneof![Just(64i64), Just(PLAIN.shard_ns)],
        span_ns in prop_oneof![Just(0i64), Just(5), Just(10), Just(20)],
        (blocks, end_rows) in (any::<bool>(), any::<bool>()),
        threads in 0usize..3,
        chunk in prop_oneof![1usize..40, Just(1000)],
    ) {
        let lines = crowded_lines(&rows);
        let layout = Layout { shard_ns, block_rows, shared_schema: true, ..PLAIN };
        let plain = node(layout, &lines, 0);
        let statistics = MemoryStatistics { blocks, span_ns, end_rows };
        let other = node(Layout { statistics, ..layout }, &lines, threads);
        for query in queries {
            let mut request = QueryRequest::new(query, "d", 0);
            let want = crate::json::run(&plain, &request);
            request.chunk_rows = NonZeroUsize::new(chunk);
            let got = crate::json::run(&other, &request);
            prop_assert_eq!(got.to_string(), want.to_string(), "{} with {:?}\n{}", request.text, statistics, lines);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn answers_do_not_depend_on_the_layout(
        rows in proptest::collection::vec(row(), 1..80),
        queries in proptest::collection::vec(query(), 6),
        layout in layout(),
        threads in 0usize..3,
        chunk in 1usize..6,
    ) {
        let lines = lines(&rows);
        let plain = node(Layout { shared_schema: true, ..PLAIN }, &lines, 0);
        let other = node(layout, &lines, threads);
        for query in queries {
            let mut request = QueryRequest::new(query, "d", 0);
            let want = crate::json::run(&plain, &request);
            request.chunk_rows = NonZeroUsize::new(chunk);
            let got = crate::json::run(&other, &request);
            prop_assert!(crate::json::close(&want, &got), "{} in {}\nwant {want}\ngot  {got}\n{lines}", request.text, layout.name);
        }
    }
}
