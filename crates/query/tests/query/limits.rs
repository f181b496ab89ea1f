//! Queries that are stopped: by limits, by their deadline, by being killed, by a client that goes away.

use std::{
    fmt::Write,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use crate::node::{MemoryNode, PLAIN};
use serde_json::{Value, json};
use skywatch_query::{
    CancelToken, Executor, Interrupt, Limits, QueryError, QueryErrorClass, QueryRequest, SinkClosed,
    StatementResult,
};
use skywatch_storage::{Consumer, MemoryBudget};

const ROWS: i64 = 20_000;

fn executor(limits: Limits) -> Executor {
    let mut lines = String::new();
    for time in 0..ROWS {
        writeln!(lines, "m,h=h{} v={}i {time}", time % 10, time * 7919 % 1000).expect("fits");
    }
    let node = MemoryNode::new(PLAIN);
    node.load("d", None, &lines);
    Executor::new(Arc::new(node), limits)
}

fn answer(limits: Limits, query: &str) -> Value {
    crate::json::run(&executor(limits), &QueryRequest::new(query, "d", ROWS))
}

fn error(text: &str) -> Value {
    json!({ "results": [{ "statement_id": 0, "error": text }] })
}

#[test]
fn limits_are_worded_as_influxdb_words_them() {
    let query = "SELECT mean(v) FROM m WHERE time >= 0 AND time < 100ns GROUP BY time(10ns), h";
    let buckets = |max_select_buckets| Limits { max_select_buckets, ..Limits::default() };
    assert_eq!(answer(buckets(9), query), error("max-select-buckets limit exceeded: (10/9)"));
    assert!(answer(buckets(10), query)["results"][0]["error"].is_null());
    let series = |max_select_series| Limits { max_select_series, ..Limits::default() };
    assert_eq!(answer(series(9), query), error("max-select-series limit exceeded: (10/9)"));
    assert!(answer(series(10), query)["results"][0]["error"].is_null());
    let points = Limits { max_select_point: 5000, ..Limits::default() };
    let text = answer(points, "SELECT v FROM m")["results"][0]["error"].to_string();
    assert!(text.starts_with("\"max-select-point limit exceeed: ("), "{text}");
}

#[test]
fn values_that_must_all_be_held_are_bounded_and_given_back() {
    let limits = Limits { max_query_memory_bytes: 100_000, ..Limits::default() };
    let executor = executor(limits);
    let run = |query: &str| crate::json::run(&executor, &QueryRequest::new(query, "d", ROWS));
    let text = run("SELECT median(v) FROM m")["results"][0]["error"].to_string();
    assert!(text.contains("max-query-memory limit exceeded"), "{text}");
    // Ten thousand windows of little each, group after group, stay below it only if each group gives back.
    let grouped = run("SELECT median(v) FROM m WHERE time < 2000ns GROUP BY h");
    assert!(grouped["results"][0]["error"].is_null(), "{grouped}");
    // Filling 2^40 windows is refused rather than tried.
    let filled = run("SELECT mean(v) FROM m WHERE time >= 0 AND time < 20m GROUP BY time(1ns)");
    assert!(filled["results"][0]["error"].is_string(), "{filled}");
}

#[test]
fn rows_being_merged_are_bounded_and_given_back() {
    let run = |max_query_memory_bytes, query: &str| {
        // One thread, so that what is held at once is the same every time.
        let limits = Limits { max_query_memory_bytes, worker_threads: 0, ..Limits::default() };
        answer(limits, query)["results"][0].clone()
    };
    // Ten series of 2000 rows, of which a block of 1000 is held at a time.
    let merged = run(100_000, "SELECT v FROM m");
    assert!(merged["error"].to_string().contains("max-query-memory limit exceeded"), "{merged}");
    // With the piece of 8192 rows that is on its way.
    assert!(run(2_000_000, "SELECT *, v FROM m")["error"].is_null());
    // 500 rows a series fit, series after series, only if each gives back.
    let series = run(60_000, "SELECT v FROM m GROUP BY h LIMIT 500");
    assert_eq!(series["series"].as_array().map(Vec::len), Some(10), "{series}");
}

#[test]
fn a_failed_statement_ends_the_request() {
    let got = answer(Limits::default(), "SELECT max(v) FROM m; SELECT nope(v) FROM m; SHOW MEASUREMENTS");
    let results = got["results"].as_array().expect("has results");
    assert_eq!(results[0]["series"][0]["values"], json!([[321, 999]]));
    assert_eq!(results[1]["error"], "undefined function nope()");
    assert_eq!(results[2]["error"], "not executed");
    let got = answer(Limits::default(), "SELECT max(v) FROM m; SELEC");
    assert!(
        got["error"].as_str().expect("nothing ran").starts_with("error parsing query: found SELEC"),
        "{got}"
    );
}

#[test]
fn deadlines_and_kills_are_told_apart() {
    let executor = executor(Limits::default());
    let request = QueryRequest::new("SELECT v FROM m", "d", ROWS);
    let run = |cancel: &CancelToken| {
        let mut errors = Vec::new();
        let outcome = executor.execute(&request, cancel, &mut |piece: StatementResult| {
            errors.extend(piece.error);
            Ok(())
        });
        outcome.expect("told in the result");
        errors.pop().expect("was stopped")
    };
    let late = CancelToken::new().with_deadline(Instant::now());
    let timeout = run(&late);
    assert!(matches!(timeout, QueryError::Interrupted(Interrupt::Timeout)));
    assert_eq!(
        (timeout.to_string().as_str(), timeout.class()),
        ("query-timeout limit exceeded", QueryErrorClass::Retry)
    );
    let killed = CancelToken::new();
    killed.kill();
    assert_eq!(run(&killed).to_string(), "query interrupted");
}

#[test]
fn running_queries_are_listed_counted_and_killed() {
    let executor = executor(Limits { max_concurrent_queries: 2, ..Limits::default() });
    let (started, wait_started) = mpsc::channel();
    let (resume, wait_resume) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let slow = scope.spawn({
            let executor = &executor;
            move || {
                let mut last_error = None;
                let mut pieces = 0;
                let request = QueryRequest::new("SELECT v FROM m", "d", ROWS);
                let outcome =
                    executor.execute(&request, &CancelToken::new(), &mut |piece: StatementResult| {
                        pieces += 1;
                        if pieces == 1 {
                            started.send(()).expect("is awaited");
                            wait_resume.recv_timeout(Duration::from_secs(60)).expect("is sent");
                        }
                        last_error = piece.error;
                        Ok(())
                    });
                outcome.expect("told in the result");
                last_error
            }
        });
        wait_started.recv_timeout(Duration::from_secs(60)).expect("the query starts");
        let shown = crate::json::run(&executor, &QueryRequest::new("SHOW QUERIES", "d", ROWS));
        let rows = shown["results"][0]["series"][0]["values"].as_array().expect("has rows").clone();
        assert_eq!(rows.len(), 2, "the slow one and this one: {shown}");
        assert_eq!(
            (&rows[0][1], &rows[0][2], &rows[0][4]),
            (&json!("SELECT v FROM m"), &json!("d"), &json!("running"))
        );
        let id = rows[0][0].as_u64().expect("is a number");
        let unknown = crate::json::run(&executor, &QueryRequest::new("KILL QUERY 999", "d", ROWS));
        assert_eq!(unknown, error("no such query id: 999"));
        let kill = crate::json::run(&executor, &QueryRequest::new(format!("KILL QUERY {id}"), "d", ROWS));
        assert_eq!(kill, json!({ "results": [{ "statement_id": 0 }] }));
        resume.send(()).expect("is awaited");
        let error = slow.join().expect("does not panic").expect("was killed");
        assert_eq!(error.to_string(), "query interrupted");
    });
    assert_eq!(executor.running(), 0);
}

#[test]
fn too_many_queries_are_refused_as_influxdb_refuses_them() {
    let executor = executor(Limits { max_concurrent_queries: 1, ..Limits::default() });
    let request = QueryRequest::new("SELECT v FROM m", "d", ROWS);
    let mut refused = None;
    let outcome = executor.execute(&request, &CancelToken::new(), &mut |_: StatementResult| {
        // Of several statements only the first is answered.
        let inner = QueryRequest::new("SHOW DATABASES; SHOW MEASUREMENTS", "d", ROWS);
        refused = Some(crate::json::run(&executor, &inner));
        Ok(())
    });
    outcome.expect("the first one runs");
    assert_eq!(refused, Some(error("max-concurrent-queries limit exceeded(1, 1)")));
}

#[test]
fn a_client_that_goes_away_ends_its_query() {
    let executor = executor(Limits::default());
    let request = QueryRequest::new("SELECT v FROM m; SELECT v FROM m", "d", ROWS);
    let mut pieces = 0;
    let outcome = executor.execute(&request, &CancelToken::new(), &mut |_: StatementResult| {
        pieces += 1;
        Err(SinkClosed)
    });
    assert!(matches!(outcome, Err(QueryError::Closed(_))));
    assert_eq!(pieces, 1);
    assert_eq!(executor.running(), 0);
}

#[test]
fn all_queries_together_stay_within_the_memory_budget() {
    let memory = Arc::new(MemoryBudget::new(16 * 40_000));
    let executor = executor(Limits::default()).with_memory(Arc::clone(&memory));
    let run = |query: &str| crate::json::run(&executor, &QueryRequest::new(query, "d", ROWS));
    // Others hold nearly all that queries may take.
    let others = memory.reserve(Consumer::Queries, 150_000).unwrap();
    for query in ["SELECT median(v) FROM m", "SELECT * FROM m"] {
        let text = run(query)["results"][0]["error"].to_string();
        assert!(
            text.contains("memory for queries is full: 15") && text.contains(" of 160000 bytes"),
            "{query}: {text}"
        );
    }
    drop(others);
    for query in ["SELECT v FROM m WHERE time < 100ns", "SHOW SERIES", "SHOW TAG VALUES WITH KEY = h"] {
        let answer = run(query);
        assert!(answer["results"][0]["error"].is_null(), "{query}: {answer}");
    }
    assert_eq!(memory.used_bytes_total(), 0, "every query gives back what it took");
}

#[test]
fn lists_of_series_and_tag_values_are_streamed_within_the_budget() {
    let mut lines = String::new();
    for series in 0..20_000 {
        writeln!(lines, "m,h=h{series:05} v=1 {}", series % 2 * 1_000_000).expect("fits");
        writeln!(lines, "m,h=h{series:05} v=1 5").expect("fits");
    }
    // Many shards know each series.
    let node = MemoryNode::new(crate::node::Layout { shard_ns: 1_000_000, ..PLAIN });
    node.load("d", None, &lines);
    let memory = Arc::new(MemoryBudget::new(4 * 600_000));
    let executor = Executor::new(Arc::new(node), Limits::default()).with_memory(Arc::clone(&memory));
    let run = |query: &str| crate::json::run(&executor, &QueryRequest::new(query, "d", ROWS));
    let first = |answer: &Value| answer["results"][0]["series"][0]["values"].clone();
    let count = |query: &str| first(&run(query))[0][0].clone();
    assert_eq!(count("SHOW SERIES EXACT CARDINALITY"), json!(20_000));
    assert_eq!(count("SHOW SERIES CARDINALITY"), json!(20_000));
    assert_eq!(count("SHOW TAG VALUES EXACT CARDINALITY WITH KEY = h"), json!(20_000));
    assert_eq!(count("SHOW SERIES EXACT CARDINALITY WHERE h =~ /h0000/"), json!(10));
    assert_eq!(first(&run("SHOW SERIES LIMIT 2 OFFSET 19998")), json!([["m,h=h19998"], ["m,h=h19999"]]));
    assert_eq!(first(&run("SHOW TAG VALUES WITH KEY = h LIMIT 1 OFFSET 7")), json!([["h", "h00007"]]));
    assert_eq!(first(&run("SHOW SERIES")).as_array().map(Vec::len), Some(20_000));
    // The list of all values at once is more than that.
    let text = run("SHOW TAG VALUES WITH KEY = h")["results"][0]["error"].to_string();
    assert!(text.contains("memory for queries is full"), "{text}");
    let cancel = CancelToken::new();
    cancel.kill();
    for query in ["SHOW SERIES", "SHOW SERIES EXACT CARDINALITY", "SHOW TAG VALUES WITH KEY = h"] {
        let mut error = None;
        let mut sink = |result: StatementResult| {
            error = result.error;
            Ok(())
        };
        executor.execute(&QueryRequest::new(query, "d", ROWS), &cancel, &mut sink).unwrap();
        assert!(matches!(error, Some(QueryError::Interrupted(Interrupt::Killed))), "{query}: {error:?}");
    }
    assert_eq!(memory.used_bytes_total(), 0);
}

#[test]
fn transformations_of_rows_stream_and_windows_of_values_are_bounded() {
    let run = |max_query_memory_bytes, query: &str| {
        let limits = Limits { max_query_memory_bytes, worker_threads: 0, ..Limits::default() };
        answer(limits, query)["results"][0].clone()
    };
    // Rows of a series are held block after block, whatever comes of them; here it is one sum of twenty thousand.
    let last = "SELECT cumulative_sum(v) FROM m LIMIT 1 OFFSET 19999";
    let rows = run(400_000, last);
    assert_eq!(rows["series"][0]["values"].as_array().map(Vec::len), Some(1), "{rows}");
    // One transformation that answers late does not make the answers of another pile up.
    let late = "SELECT moving_average(v, 3), elapsed(v) FROM m GROUP BY h LIMIT 1 OFFSET 1500";
    assert!(run(200_000, late)["error"].is_null());
    // A window of values has to be held.
    let window = run(250_000, "SELECT moving_average(v, 20000) FROM m");
    assert!(window["error"].to_string().contains("max-query-memory limit exceeded"), "{window}");
    // As many predictions as there are nanoseconds in a century are refused rather than made.
    let query = "SELECT holt_winters(mean(v), 3155760000000000000, 0) FROM m WHERE time >= 0 AND time < 20u GROUP BY time(1u)";
    let predictions = run(1_000_000, query);
    assert!(predictions["error"].to_string().contains("max-query-memory limit exceeded"), "{predictions}");
    let season =
        "SELECT holt_winters(mean(v), 1, 10000) FROM m WHERE time >= 0 AND time < 20u GROUP BY time(1ns)";
    let simplex = run(100_000_000, season);
    assert!(simplex["error"].to_string().contains("max-query-memory limit exceeded"), "{simplex}");
}
