use std::path::Path;

use skywatch_model::line::{ParseOptions, Precision, parse};
use skywatch_query::{CancelToken, OutputColumn, QueryRequest, StatementResult};
use skywatch_storage::Consumer;

use super::{writing::BATCH_PATIENCE, *};
use crate::{Consistency, Copied, Forwarded, Subscribed, WriteErrorClass};

mod into;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn open(directory: &Path) -> Result<Arc<Node>, NodeError> {
    Node::open(NodeConfig {
        data_dir: directory.to_path_buf(),
        durability: Durability::Fsync,
        memory: Arc::new(MemoryBudget::new(1 << 30)),
        cardinality: CardinalityLimits::default(),
        limits: Limits::default(),
        autogen: true,
        upkeep: UpkeepSettings::default(),
        monitor: Arc::default(),
    })
}

fn query(node: &Node, text: &str) -> Vec<StatementResult> {
    let mut results = Vec::new();
    let mut sink = |result: StatementResult| {
        results.push(result);
        Ok(())
    };
    node.executor().execute(&QueryRequest::new(text, "db", NOW_NS), &CancelToken::new(), &mut sink).unwrap();
    results
}

fn times(node: &Node, text: &str) -> Vec<i64> {
    let mut times = Vec::new();
    for result in query(node, text) {
        assert!(result.error.is_none(), "{:?}", result.error);
        for series in result.series {
            match &series.values[0] {
                OutputColumn::Time(column) => times.extend(column),
                other => panic!("the first column is {other:?}"),
            }
        }
    }
    times
}

fn write(node: &Node, policy: Option<&str>, body: &str) -> Result<WriteSummary, WriteError> {
    node.write(&WriteRequest {
        database: "db",
        retention_policy: policy,
        precision: Precision::Nanosecond,
        body: body.as_bytes(),
        received_at_ns: NOW_NS,
        consistency: Consistency::One,
    })
}

#[test]
fn points_are_there_after_a_crash_and_in_every_group() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    query(&node, "CREATE DATABASE db");
    let week = 7 * 24 * 3_600_000_000_000;
    let body: String = (0..5).map(|n| format!("m v={n} {}\n", n * week)).collect();
    assert_eq!(write(&node, None, &body).unwrap().points, 5);
    assert_eq!(write(&node, None, "m v=9").unwrap().points, 1);
    let expected: Vec<i64> = (0..5).map(|n| n * week).chain([NOW_NS]).collect();
    assert_eq!(times(&node, "SELECT v FROM m"), expected);
    node.close();
    drop(node);
    let node = open(directory.path()).unwrap();
    assert_eq!(times(&node, "SELECT v FROM m"), expected);
    assert!(node.statistics().shards >= 6);
}

#[test]
fn good_points_are_kept_and_bad_ones_told() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    assert!(matches!(write(&node, None, "m v=1"), Err(WriteError::DatabaseNotFound(name)) if name == "db"));
    query(&node, "CREATE DATABASE db; CREATE RETENTION POLICY hour ON db DURATION 1h REPLICATION 1");
    assert!(matches!(write(&node, Some("nope"), "m v=1"), Err(WriteError::RetentionPolicyNotFound(_))));
    assert!(matches!(write(&node, None, "m v="), Err(WriteError::Unparsable(_))));
    assert_eq!(write(&node, None, "# nothing\n\n").unwrap().points, 0);

    let error = write(&node, None, "m v=1 1\nm v=x 2\nm v=3 3").unwrap_err();
    assert!(error.to_string().starts_with("partial write: unable to parse 'm v=x 2': "), "{error}");
    assert!(error.to_string().ends_with(" dropped=0"), "{error}");
    assert_eq!(times(&node, "SELECT v FROM m"), vec![1, 3]);

    let error = write(&node, None, "m v=4i 4\nm v=5 5").unwrap_err();
    assert!(error.to_string().starts_with("partial write: field type conflict: "), "{error}");
    assert_eq!(times(&node, "SELECT v FROM m"), vec![1, 3, 5]);

    let error = write(&node, Some("hour"), "m v=1 1").unwrap_err();
    assert_eq!(error.to_string(), "partial write: points beyond retention policy dropped=1");
    let writes = node.statistics().writes;
    assert_eq!((writes.points_written, writes.points_rejected, writes.lines_unparsable), (3, 2, 2));
}

/// What is read out of a log again carries the versions it had the first time.
#[test]
fn points_with_versions_of_their_own_may_be_older_and_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    query(&node, "CREATE DATABASE db");
    let request = PointsRequest {
        database: "db",
        retention_policy: None,
        received_at_ns: NOW_NS,
        consistency: Consistency::One,
    };
    let store = |ms: u64, body: &'static str| {
        let mut batch = PointBatch::new();
        let options = ParseOptions { precision: Precision::Nanosecond, default_time_ns: NOW_NS };
        assert!(parse(body.as_bytes(), options, &mut batch).is_empty());
        node.write_points_of(&request, &batch, Version::from_parts(ms, 0, 7)).unwrap().points
    };
    let now_ms = NOW_NS as u64 / 1_000_000;
    assert_eq!(store(now_ms - 1_000, "m v=1 1\nm v=2 2"), 2);
    assert_eq!(store(now_ms - 500, "m v=3 2"), 1);
    // Both again, in their order, and one that is older than anything.
    assert_eq!(store(now_ms - 1_000, "m v=1 1\nm v=2 2") + store(now_ms - 500, "m v=3 2"), 3);
    assert_eq!(store(0, "m v=9 2\nm v=4 3"), 2);
    assert_eq!(times(&node, "SELECT v FROM m WHERE v = 1 OR v = 3 OR v = 4"), [1, 2, 3]);
    // What is written here is newer than all of them.
    write(&node, None, "m v=5 2").unwrap();
    store(now_ms - 500, "m v=3 2");
    assert_eq!(times(&node, "SELECT v FROM m WHERE v = 5"), [2]);
}

fn open_with(directory: &Path, memory: MemoryBudget, max_series: u64) -> Arc<Node> {
    Node::open(NodeConfig {
        data_dir: directory.to_path_buf(),
        durability: Durability::Fsync,
        memory: Arc::new(memory),
        cardinality: CardinalityLimits { max_series_per_database: max_series, max_values_per_tag: 0 },
        limits: Limits::default(),
        autogen: true,
        upkeep: UpkeepSettings::default(),
        monitor: Arc::default(),
    })
    .unwrap()
}

#[test]
fn a_database_over_its_limit_takes_only_series_it_knows() {
    let directory = tempfile::tempdir().unwrap();
    let week = 7 * 24 * 3_600_000_000_000_i64;
    let full = "partial write: max-series-per-database limit exceeded: (3) dropped=2";
    for _restart in 0..2 {
        let node = open_with(directory.path(), MemoryBudget::new(1 << 30), 3);
        query(&node, "CREATE DATABASE db");
        write(&node, None, "m,h=a v=1 1\nm,h=b v=1 1").unwrap();
        // The same series in another shard group, and a third.
        write(&node, None, &format!("m,h=a v=1 {week}\nm,h=b v=1 {week}\nn v=1 {week}")).unwrap();
        let body = format!("m,h=a v=2 2\nm,h=c v=1 1\nn v=2 2\nm,h=d v=1 {week}\nm,h=b v=2 {}", 2 * week);
        let error = write(&node, None, &body).unwrap_err();
        assert_eq!(error.to_string(), full);
        assert_eq!(times(&node, "SELECT v FROM m WHERE h = 'a'"), vec![1, 2, week]);
        assert_eq!(times(&node, "SELECT v FROM m WHERE h = 'b'"), vec![1, week, 2 * week]);
        assert_eq!(times(&node, "SELECT v FROM n"), vec![2, week]);
        let cardinality = &node.statistics().cardinality[0];
        assert_eq!((cardinality.database.as_str(), cardinality.series, cardinality.refused), ("db", 3, 2));
        // Another database has its own.
        query(&node, "CREATE DATABASE other");
        let other = WriteRequest {
            database: "other",
            retention_policy: None,
            precision: Precision::Nanosecond,
            body: b"m,h=x v=1 1",
            received_at_ns: NOW_NS,
            consistency: Consistency::One,
        };
        node.write(&other).unwrap();
        node.close();
    }
}

#[test]
fn memory_for_new_series_is_bounded_and_a_flush_frees_it() {
    let directory = tempfile::tempdir().unwrap();
    let node = open_with(directory.path(), MemoryBudget::new(4 << 20), 0);
    query(&node, "CREATE DATABASE db");
    let mut most = 0;
    for batch in 0..100 {
        let body: String = (0..200).map(|n| format!("m,host=host-{batch}-{n} v=1 1\n")).collect();
        // Half of 4 MiB holds no 20,000 series; writes wait for flushes, and may be told to come again.
        while let Err(error) = write(&node, None, &body) {
            assert_eq!(error.class(), WriteErrorClass::Retry, "{error}");
        }
        most = most.max(node.core.memory.used_bytes(Consumer::Index));
    }
    assert!((1 << 20..5 << 19).contains(&most), "{most}");
    let count = query(&node, "SHOW SERIES EXACT CARDINALITY").remove(0).series.remove(0);
    assert_eq!(count.values[0].get(0), Some(skywatch_model::FieldValue::Integer(20_000)));
    query(&node, "DROP DATABASE db");
    assert_eq!(node.core.memory.used_bytes(Consumer::Index), 0);
}

#[test]
fn a_write_without_memory_waits_and_is_told_to_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let node = open_with(directory.path(), MemoryBudget::new(64 << 20), 0);
    query(&node, "CREATE DATABASE db");
    let others = node.core.memory.reserve(Consumer::Batches, 12 << 20).unwrap();
    let body: String = (0..1000).map(|n| format!("m v=1 {n}\n")).collect();
    let started = std::time::Instant::now();
    let error = write(&node, None, &body).unwrap_err();
    assert!(started.elapsed() >= BATCH_PATIENCE);
    assert_eq!(error.class(), WriteErrorClass::Retry);
    assert!(error.to_string().starts_with("memory for batches is full: "), "{error}");
    assert_eq!(node.statistics().writes.overloaded, 1);
    drop(others);
    write(&node, None, &body).unwrap();
    assert_eq!(node.core.memory.used_bytes(Consumer::Batches), 0);
    // What could never fit is not waited for.
    let body: String = (0..1_000_000).map(|_| "m v=1 1\n").collect();
    let error = write(&node, None, &body).unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("smaller pieces"), "{error}");
}

#[test]
fn a_dropped_database_takes_its_files_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    query(&node, "CREATE DATABASE db");
    write(&node, None, "m v=1 1").unwrap();
    assert_eq!(node.statistics().shards, 1);
    query(&node, "DROP DATABASE db");
    assert_eq!(node.statistics().shards, 0);
    query(&node, "CREATE DATABASE db");
    assert_eq!(times(&node, "SELECT v FROM m"), Vec::<i64>::new());
}

#[test]
fn data_without_its_catalogue_is_refused_not_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    query(&node, "CREATE DATABASE db");
    write(&node, None, "m v=1 1").unwrap();
    node.close();
    drop(node);
    let catalogue = directory.path().join("meta/catalogue.json");
    let aside = directory.path().join("aside");
    std::fs::rename(&catalogue, &aside).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, NodeError::StrayShard { shard: 1, .. }), "{error}");
    std::fs::rename(&aside, &catalogue).unwrap();
    assert_eq!(times(&open(directory.path()).unwrap(), "SELECT v FROM m"), vec![1]);
}

#[test]
fn a_second_process_is_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let _node = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, NodeError::Store(OpenError::Locked { .. })), "{error}");
}

/// Takes copies of writes to one policy.
#[derive(Debug, Default)]
struct Taker {
    subscriptions: Mutex<Vec<Subscribed>>,
    copies: Mutex<Vec<Copied>>,
}

impl Forwarder for Taker {
    fn reconcile(&self, subscriptions: &[Subscribed]) {
        *self.subscriptions.lock() = subscriptions.to_vec();
    }

    fn wants(&self, database: &str, retention_policy: &str) -> bool {
        let of = |it: &Subscribed| it.database == database && it.retention_policy == retention_policy;
        self.subscriptions.lock().iter().any(of)
    }

    fn forward(&self, copied: Copied) -> Forwarded {
        self.copies.lock().push(copied);
        Forwarded::Taken
    }
}

#[test]
fn what_is_stored_is_copied_for_those_who_subscribed() {
    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    let taker = Arc::new(Taker::default());
    node.forward_to(Arc::clone(&taker) as _);
    query(&node, "CREATE DATABASE db; CREATE RETENTION POLICY hour ON db DURATION 1h REPLICATION 1");
    write(&node, None, "m v=1 1").unwrap();
    assert!(taker.copies.lock().is_empty(), "nobody subscribed yet");
    query(&node, "CREATE SUBSCRIPTION s ON db.autogen DESTINATIONS ALL 'udp://h:1'");
    write(&node, Some("hour"), &format!("m v=2 {NOW_NS}")).unwrap();
    let week = 7 * 24 * 3_600_000_000_000_i64;
    // Two shards, a point of another type, and a line that is none.
    let body = format!("m v=3 {week}\nm s=\"a\nb\",v=4 2\nm v=5i 3\nm v=\nn v=6i 4");
    write(&node, None, &body).unwrap_err();
    query(&node, "DROP SUBSCRIPTION s ON db.autogen");
    write(&node, None, "m v=7 7").unwrap();
    let copies = taker.copies.lock();
    let [copy] = copies.as_slice() else { panic!("{copies:?}") };
    assert_eq!((copy.database.as_str(), copy.retention_policy.as_str()), ("db", "autogen"));
    assert_eq!(copy.lines, format!("m v=3 {week}\nm s=\"a\nb\",v=4 2\nn v=6i 4\n"));
    let lines: Vec<&str> = copy.line_ends.iter().map(|end| &copy.lines[..*end]).collect();
    assert!(lines[1].ends_with("v=4 2\n") && lines.len() == 3, "{lines:?}");
    assert_eq!(node.statistics().writes.copies_taken, 1);
}

#[test]
fn a_user_logs_in_until_the_password_changes_or_the_user_goes() {
    use crate::Accounts;

    let directory = tempfile::tempdir().unwrap();
    let node = open(directory.path()).unwrap();
    assert!(!node.has_admin());
    query(&node, "CREATE DATABASE db; CREATE USER u WITH PASSWORD 'one'; GRANT READ ON db TO u");
    assert_eq!(node.verify("u", "two"), None);
    assert_eq!(node.verify("nobody", "one"), None);
    assert_eq!(node.recall("u", "one"), None, "never checked yet");
    let user = node.verify("u", "one").unwrap();
    assert_eq!((user.name.as_str(), user.admin, user.privileges.len()), ("u", false, 1));
    assert_eq!(node.recall("u", "one"), Some(user));
    query(&node, "SET PASSWORD FOR u = 'two'");
    assert_eq!(node.recall("u", "one"), None);
    assert!(node.verify("u", "two").is_some());
    query(&node, "DROP USER u; CREATE USER u WITH PASSWORD 'three' WITH ALL PRIVILEGES");
    assert_eq!(node.recall("u", "two"), None);
    assert!(node.user("u").unwrap().admin && node.has_admin());
    node.close();
    drop(node);
    assert!(open(directory.path()).unwrap().verify("u", "three").is_some(), "durable");
}
