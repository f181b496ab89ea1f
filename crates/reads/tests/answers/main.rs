//! Queries answer the same, to the last digit, wherever the shards they read lie and whoever fails meanwhile.

mod damage;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use skywatch_meta::NodeId;
use skywatch_model::{Bitmap, Column, FieldType, TimeRange, Values};
use skywatch_query::{
    Administration, Backend, BackendError, CancelToken, DeleteRequest, Executor, Limits, MemoryShard,
    MemoryStatistics, NewRetentionPolicy, QueryRequest, Reading, RetentionPolicyInfo, RetentionPolicyUpdate,
    StatementResult,
};
use skywatch_reads::{
    Asking, BackedShard, Damaged, Patience, Remembered, RemoteShard, ShardSource, Unreachable, router,
    router_within,
};
use skywatch_rpc::{Call, CallError, Failure, FailureKind, Reply, Router, Transport};
use skywatch_storage::{ReadError, ScanRequest, Scanner, SeriesRef, SeriesStamp, ShardRead, TagPredicate};

const SECOND: i64 = 1_000_000_000;
const WEEK: i64 = 604_800 * SECOND;

/// A node's shards: all of them, numbered from 0.
#[derive(Debug)]
struct Shards(Vec<Arc<dyn ShardRead>>);

impl ShardSource for Shards {
    fn snapshot(&self, shard: u64) -> Result<Option<Arc<dyn ShardRead>>, Failure> {
        match self.0.get(shard as usize) {
            Some(shard) => Ok(Some(Arc::clone(shard))),
            None => Err(Failure::new(FailureKind::NotFound, format!("shard {shard} is not here"))),
        }
    }
}

/// Which of a node's calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Never,
    /// After so many answers, for good.
    After(u64),
    /// Never answers.
    Frozen,
    /// Says that it lacks something.
    Incomplete,
}

/// Nodes `one` and `two`, which hold the same.
struct Pair {
    routers: [Router; 2],
    fails: [Fails; 2],
    calls: [AtomicU64; 2],
    bytes: AtomicU64,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair")
    }
}

#[async_trait]
impl Transport for Pair {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        let node = usize::from(to == "two");
        let number = self.calls[node].fetch_add(1, Ordering::Relaxed);
        match self.fails[node] {
            Fails::After(calls) if number >= calls => {
                return Err(CallError::Lost { to: to.into(), reason: "the node died".into() });
            }
            Fails::Frozen => {
                tokio::time::sleep(within).await;
                return Err(CallError::TimedOut { to: to.into(), within });
            }
            Fails::Incomplete => {
                let failure = Failure::new(FailureKind::Incomplete, "writes wait for this node");
                return Err(CallError::Failed { to: to.into(), failure });
            }
            Fails::Never | Fails::After(_) => {}
        }
        let sent = call.head.len() + call.body.len();
        let answer = self.routers[node].answer(call).await;
        let reply = answer.map_err(|failure| CallError::Failed { to: to.into(), failure })?;
        self.bytes.fetch_add((sent + reply.head.len() + reply.body.len()) as u64, Ordering::Relaxed);
        Ok(reply)
    }
}

/// Who stands in for what is damaged, or why nobody does.
type StandIns = fn(Asking) -> Result<Asking, String>;

/// A node that reads some of its shards from others.
#[derive(Debug)]
struct Node {
    shards: Vec<Arc<dyn ShardRead>>,
    /// Those read over calls.
    is_remote: fn(usize) -> bool,
    /// Who stands in for what is damaged of the others, if anybody does.
    stand_ins: Option<StandIns>,
    pair: Arc<Pair>,
    remembered: Arc<Remembered>,
    runtime: tokio::runtime::Handle,
}

fn refuse<T>() -> Result<T, BackendError> {
    Err(BackendError::Unsupported("a test"))
}

impl Administration for Node {}

impl Backend for Node {
    fn databases(&self) -> Result<Vec<String>, BackendError> {
        Ok(vec!["db".to_owned()])
    }

    fn retention_policies(&self, _: &str) -> Result<Vec<RetentionPolicyInfo>, BackendError> {
        let name = "autogen".to_owned();
        let (duration_ns, shard_group_duration_ns, replica_n) = (0, WEEK, 2);
        let is_default = true;
        Ok(vec![RetentionPolicyInfo { name, duration_ns, shard_group_duration_ns, replica_n, is_default }])
    }

    fn shards(
        &self,
        _: &str,
        _: &str,
        range: TimeRange,
        reading: &Reading,
    ) -> Result<Vec<Arc<dyn ShardRead>>, BackendError> {
        let unreachable = Arc::new(Unreachable::default());
        let one = |(index, shard): (usize, &Arc<dyn ShardRead>)| -> Arc<dyn ShardRead> {
            let here = !(self.is_remote)(index);
            if here && self.stand_ins.is_none() {
                return Arc::clone(shard);
            }
            let asking = Asking {
                runtime: self.runtime.clone(),
                transport: Arc::clone(&self.pair) as _,
                unreachable: Arc::clone(&unreachable),
                remembered: Arc::clone(&self.remembered),
                patience: Patience { hedge: Duration::from_millis(50), ..Patience::default() },
                reading: reading.clone(),
                shard: index as u64,
                owners: vec![(NodeId(1), "one".to_owned()), (NodeId(2), "two".to_owned())],
                damaged: Damaged::default(),
            };
            match self.stand_ins.filter(|_| here) {
                Some(stand_ins) => {
                    Arc::new(BackedShard::new(Arc::clone(shard), move || stand_ins(asking.clone())))
                }
                None => Arc::new(RemoteShard::new(asking, shard.time_range())),
            }
        };
        let shards = self.shards.iter().enumerate();
        Ok(shards.filter(|(_, shard)| shard.time_range().overlaps(range)).map(one).collect())
    }

    fn create_database(&self, _: &str, _: Option<&NewRetentionPolicy>) -> Result<(), BackendError> {
        refuse()
    }

    fn drop_database(&self, _: &str) -> Result<(), BackendError> {
        refuse()
    }

    fn create_retention_policy(&self, _: &str, _: &NewRetentionPolicy) -> Result<(), BackendError> {
        refuse()
    }

    fn alter_retention_policy(
        &self,
        _: &str,
        _: &str,
        _: &RetentionPolicyUpdate,
    ) -> Result<(), BackendError> {
        refuse()
    }

    fn drop_retention_policy(&self, _: &str, _: &str) -> Result<(), BackendError> {
        refuse()
    }

    fn drop_measurement(&self, _: &str, _: &str) -> Result<(), BackendError> {
        refuse()
    }

    fn drop_shard(&self, _: u64) -> Result<(), BackendError> {
        refuse()
    }

    fn delete(&self, _: &str, _: &DeleteRequest) -> Result<(), BackendError> {
        refuse()
    }
}

/// Numbers that depend on nothing but the seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Two weeks, in each of which the series are spread over two shards.
fn shards(series: u64, rows: i64, statistics: MemoryStatistics, seed: u64) -> Vec<Arc<dyn ShardRead>> {
    let mut random = Random(seed | 1);
    let measurement: Arc<str> = "cpu".into();
    let mut shards = Vec::new();
    for week in 0..2i64 {
        let range = TimeRange::new(week * WEEK, (week + 1) * WEEK - 1);
        for part in 0..2 {
            let mut shard = MemoryShard::new(range, 100, statistics);
            for number in (0..series).filter(|number| number % 2 == part) {
                let tags = [
                    (Arc::from("host"), Arc::from(format!("h{number}"))),
                    (Arc::from("region"), Arc::from(["eu", "us", "ap"][number as usize % 3])),
                ];
                let times: Vec<i64> = (0..rows)
                    .map(|row| range.start + row * 97 * SECOND + (random.next() % 7) as i64 * SECOND)
                    .collect();
                let mut holes = Bitmap::default();
                times.iter().for_each(|_| holes.push(!random.next().is_multiple_of(3)));
                let float = |random: &mut Random| (random.next() % 10_000) as f64 / 7.0 - 300.0;
                let columns = vec![
                    (Arc::from("f"), Values::Float(times.iter().map(|_| float(&mut random)).collect())),
                    (
                        Arc::from("i"),
                        Values::Integer(times.iter().map(|_| (random.next() % 9) as i64 - 4).collect()),
                    ),
                    (
                        Arc::from("s"),
                        Values::String(
                            times.iter().map(|_| format!("text {}", random.next() % 5).into()).collect(),
                        ),
                    ),
                    (
                        Arc::from("b"),
                        Values::Boolean(times.iter().map(|_| random.next().is_multiple_of(2)).collect()),
                    ),
                ];
                let column = |(name, values): (Arc<str>, Values)| {
                    let valid = (&*name != "f").then(|| holes.clone());
                    (name, Column { values, valid })
                };
                shard.add_series(&measurement, tags.into(), times, columns.into_iter().map(column).collect());
            }
            shards.push(Arc::new(shard) as Arc<dyn ShardRead>);
        }
    }
    shards
}

const QUERIES: &[&str] = &[
    "SELECT * FROM cpu",
    "SELECT f FROM cpu WHERE host = 'h3'",
    "SELECT f, i FROM cpu ORDER BY time DESC LIMIT 7",
    "SELECT f FROM cpu GROUP BY host LIMIT 3 OFFSET 2",
    "SELECT f, s FROM cpu WHERE i > 2 AND region = 'eu'",
    "SELECT mean(f) FROM cpu",
    "SELECT mean(f), sum(i), count(s) FROM cpu GROUP BY host",
    "SELECT mean(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1h), host",
    "SELECT mean(f), max(f), min(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(6h), region",
    "SELECT sum(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(7h, 13m)",
    "SELECT max(i), min(f), spread(f) FROM cpu GROUP BY region",
    "SELECT max(f) FROM cpu",
    "SELECT min(i) FROM cpu GROUP BY host",
    "SELECT first(f), last(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d), host",
    "SELECT last(f) FROM cpu GROUP BY host",
    "SELECT last(*) FROM cpu GROUP BY host",
    "SELECT first(s), region FROM cpu",
    "SELECT last(f), mean(i) FROM cpu GROUP BY region",
    "SELECT max(f), host FROM cpu",
    "SELECT count(b), last(b) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d)",
    "SELECT sum(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(6h) ORDER BY time DESC",
    "SELECT count(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(6h) ORDER BY time DESC LIMIT 2",
    "SELECT mean(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d) tz('Europe/Berlin')",
    "SELECT mean(f) FROM cpu WHERE i > 0 GROUP BY region",
    "SELECT f FROM cpu WHERE f > 900 AND i < 3",
    "SELECT * FROM cpu WHERE s =~ /[13]$/ AND b = true GROUP BY host",
    "SELECT * FROM cpu WHERE s != 'text 2' ORDER BY time DESC LIMIT 9",
    "SELECT f FROM cpu WHERE i > 3 GROUP BY host ORDER BY time DESC LIMIT 1",
    "SELECT f FROM cpu WHERE i > 3 GROUP BY host LIMIT 2 OFFSET 5",
    "SELECT i FROM cpu WHERE abs(f) < 2 OR pow(i, 2) = 16 OR f + i > 1100.5",
    "SELECT i FROM cpu WHERE f < nothing OR i = 1 AND s = 'text 1'",
    "SELECT i FROM cpu WHERE host = 'h1' OR f > 1000",
    "SELECT f FROM cpu WHERE i::float > 1.5 AND f::integer = 7",
    "SELECT mean(f), count(b), max(i) FROM cpu WHERE s = 'text 3' AND f < 400 GROUP BY host",
    "SELECT mean(f), spread(i) FROM cpu WHERE i > 1 AND time >= 0 AND time < 1209600s GROUP BY time(6h), region",
    "SELECT sum(f), first(s), last(b) FROM cpu WHERE f > 0 AND time >= 0 AND time < 1209600s GROUP BY time(1d)",
    "SELECT sum(f) FROM cpu WHERE f > 0 AND time >= 0 AND time < 1209600s GROUP BY time(1d) ORDER BY time DESC",
    "SELECT max(f), host FROM cpu WHERE i = 2 GROUP BY region",
    "SELECT last(f), s FROM cpu WHERE i = 2 GROUP BY host",
    "SELECT first(s), last(i) FROM cpu WHERE f > 500",
    "SELECT last(i) FROM cpu WHERE f > 1000000",
    "SELECT median(f) FROM cpu WHERE b = false GROUP BY region",
    "SELECT f, i FROM cpu WHERE (host = 'h1' OR i > 2) AND f > 0",
    "SELECT f FROM cpu WHERE host = 'h4' OR (host != 'h2' AND i > 3) GROUP BY host LIMIT 3 OFFSET 1",
    "SELECT f FROM cpu WHERE host = 'h4' OR i > 3 GROUP BY host ORDER BY time DESC LIMIT 2",
    "SELECT count(f), mean(f), max(i) FROM cpu WHERE region != s OR host = 'h2' GROUP BY host",
    "SELECT mean(f), first(s) FROM cpu WHERE (host = 'h1' OR i > 2) AND time >= 0 AND time < 1209600s GROUP BY time(1d), host",
    "SELECT mean(f), last(b) FROM cpu WHERE (region = 'us' OR i > 2) AND time >= 0 AND time < 1209600s GROUP BY time(1d) ORDER BY time DESC",
    "SELECT last(f), s FROM cpu WHERE region = 'us' OR i > 2 GROUP BY host",
    "SELECT mean(f), sum(i), spread(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(6h), host ORDER BY time DESC",
    "SELECT mean(f), sum(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(7h, 13m) ORDER BY time DESC",
    "SELECT sum(f), count(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(90s), host ORDER BY time DESC LIMIT 40",
    "SELECT min(i), max(i), min(f) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d), region ORDER BY time DESC",
    "SELECT first(f), last(i), first(s), last(b) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d), host ORDER BY time DESC",
    "SELECT mean(f), max(i) FROM cpu WHERE s = 'text 1' AND time >= 0 AND time < 1209600s GROUP BY time(1d), region ORDER BY time DESC",
    "SELECT mean(f), sum(i) FROM cpu GROUP BY host ORDER BY time DESC",
    "SELECT max(i), min(i) FROM cpu GROUP BY region ORDER BY time DESC",
    "SELECT max(i) FROM cpu ORDER BY time DESC",
    "SELECT max(m) FROM (SELECT mean(f) AS m FROM cpu WHERE i > 0 GROUP BY host) WHERE m > 0 GROUP BY region",
    "SELECT percentile(f, 90), median(f) FROM cpu GROUP BY region",
    "SELECT distinct(s) FROM cpu",
    "SELECT top(f, 4) FROM cpu",
    "SELECT derivative(mean(f), 1h) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(6h), region",
    "SELECT difference(f) FROM cpu WHERE host =~ /h[12]$/ GROUP BY host",
    "SELECT max(m) FROM (SELECT mean(f) AS m FROM cpu GROUP BY host) GROUP BY region",
    "SELECT mean(f::integer) FROM cpu GROUP BY region",
    "SELECT mean(nothing), count(f) FROM cpu",
    "SELECT f FROM nothing",
    "SHOW MEASUREMENTS",
    "SHOW TAG KEYS",
    "SHOW TAG VALUES WITH KEY = region",
    "SHOW TAG VALUES WITH KEY = host WHERE region = 'us'",
    "SHOW FIELD KEYS",
    "SHOW SERIES WHERE region = 'ap'",
    "SHOW SERIES CARDINALITY",
    "SHOW SERIES EXACT CARDINALITY",
    "SHOW TAG VALUES EXACT CARDINALITY WITH KEY = host",
];

struct Bench {
    runtime: tokio::runtime::Runtime,
    remembered: Arc<Remembered>,
    shards: Vec<Arc<dyn ShardRead>>,
}

impl Bench {
    fn new(shards: Vec<Arc<dyn ShardRead>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a test runs");
        Self { runtime, remembered: Arc::default(), shards }
    }

    fn ask(&self, text: &str, is_remote: fn(usize) -> bool, fails: [Fails; 2]) -> (String, u64) {
        let source = Arc::new(Shards(self.shards.clone()));
        self.ask_of(router(source, |work| work()), text, is_remote, fails)
    }

    fn ask_of(
        &self,
        router: Router,
        text: &str,
        is_remote: fn(usize) -> bool,
        fails: [Fails; 2],
    ) -> (String, u64) {
        let request = QueryRequest::new(text, "db", 2 * WEEK);
        let (answer, _, bytes) = self.ask_for(router, &request, is_remote, fails);
        (answer, bytes)
    }

    /// The answer, what is said beside it, and what travelled.
    fn ask_for(
        &self,
        router: Router,
        request: &QueryRequest,
        is_remote: fn(usize) -> bool,
        fails: [Fails; 2],
    ) -> (String, Vec<String>, u64) {
        let pair = Pair::of([router.clone(), router], fails);
        let node = Node {
            shards: self.shards.clone(),
            is_remote,
            stand_ins: None,
            pair: Arc::clone(&pair),
            remembered: Arc::clone(&self.remembered),
            runtime: self.runtime.handle().clone(),
        };
        let (answer, messages) = node.ask(request);
        (answer, messages, pair.bytes.load(Ordering::Relaxed))
    }
}

impl Pair {
    fn of(routers: [Router; 2], fails: [Fails; 2]) -> Arc<Self> {
        Arc::new(Self { routers, fails, calls: Default::default(), bytes: AtomicU64::new(0) })
    }

    fn calls(&self) -> [u64; 2] {
        [0, 1].map(|node| self.calls[node].load(Ordering::Relaxed))
    }
}

impl Node {
    /// The answer, and what is said beside it.
    fn ask(self, request: &QueryRequest) -> (String, Vec<String>) {
        let executor = Executor::new(Arc::new(self), Limits::default());
        let (mut answer, mut messages) = (String::new(), Vec::new());
        executor
            .execute(request, &CancelToken::new(), &mut |result: StatementResult| {
                for series in &result.series {
                    answer += &format!("{} {:?} {:?}\n", series.name, series.tags, series.columns);
                    for row in 0..series.len() {
                        let values: Vec<_> = series.values.iter().map(|column| column.get(row)).collect();
                        answer += &format!("{values:?}\n");
                    }
                }
                if let Some(error) = &result.error {
                    answer += &format!("error: {error}\n");
                }
                messages.extend(result.messages.iter().map(|message| message.text.clone()));
                Ok(())
            })
            .expect("a query runs");
        (answer, messages)
    }
}

const NOTHING_KNOWN: MemoryStatistics = MemoryStatistics { blocks: false, span_ns: 0, end_rows: false };
const ALL_KNOWN: MemoryStatistics = MemoryStatistics { blocks: true, span_ns: 3600 * SECOND, end_rows: true };

#[test]
fn answers_do_not_depend_on_where_shards_lie_or_who_fails() {
    for (seed, statistics) in [(7, NOTHING_KNOWN), (11, ALL_KNOWN)] {
        let bench = Bench::new(shards(9, 700, statistics, seed));
        for text in QUERIES {
            let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
            assert!(!expected.contains("error"), "{text}: {expected}");
            let failures = [
                [Fails::Never; 2],
                [Fails::After(0), Fails::Never],
                [Fails::After(3), Fails::Never],
                [Fails::Incomplete, Fails::Never],
            ];
            for fails in failures {
                for is_remote in [(|_| true) as fn(usize) -> bool, |shard| shard % 2 == 0, |shard| shard > 1]
                {
                    let (answer, _) = bench.ask(text, is_remote, fails);
                    assert!(
                        answer == expected,
                        "seed {seed}, {text}, {fails:?}\n{answer}\ninstead of\n{expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_frozen_owner_is_not_waited_for() {
    let bench = Bench::new(shards(5, 50, ALL_KNOWN, 3));
    let text = "SELECT mean(f) FROM cpu GROUP BY host";
    let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
    let began = std::time::Instant::now();
    assert_eq!(bench.ask(text, |_| true, [Fails::Frozen, Fails::Never]).0, expected);
    assert!(began.elapsed() < Duration::from_secs(5), "the other owner was asked after 50 ms");
}

#[test]
fn without_an_owner_there_is_an_error_and_never_a_shorter_answer() {
    let bench = Bench::new(shards(5, 700, ALL_KNOWN, 3));
    for text in QUERIES.iter().filter(|text| text.starts_with("SELECT") && text.contains("FROM cpu")) {
        for calls in [0, 1, 3] {
            let (answer, _) = bench.ask(text, |_| true, [Fails::After(calls), Fails::Incomplete]);
            assert!(answer.contains("error: shard "), "{text} after {calls} calls: {answer}");
            assert!(answer.contains("writes wait for this node"), "{answer}");
        }
    }
}

#[test]
fn owners_that_leave_off_or_know_no_conditions_are_asked_on() {
    let bench = Bench::new(shards(9, 700, ALL_KNOWN, 5));
    let source = || Arc::new(Shards(bench.shards.clone()));
    for text in QUERIES.iter().filter(|text| text.contains("WHERE")) {
        let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
        for values in [0, 1, 3000] {
            let router = router_within(source(), |work| work(), values);
            let (answer, _) = bench.ask_of(router, text, |_| true, [Fails::After(9), Fails::Never]);
            assert!(answer == expected, "{text}, {values} values a call\n{answer}\ninstead of\n{expected}");
        }
        // An owner of an earlier release does not see conditions, and answers with all series and all rows; one of a release
        // between knows those that are the same for all series.
        for unknown in [&["selection", "condition", "predicate"][..], &["selection"]] {
            let (answer, _) =
                bench.ask_of(earlier(source(), unknown), text, |shard| shard != 1, [Fails::Never; 2]);
            assert!(answer == expected, "{text}, without {unknown:?}\n{answer}\ninstead of\n{expected}");
        }
    }
}

/// A node of a release that does not know these keys of questions.
fn earlier(source: Arc<Shards>, unknown: &'static [&'static str]) -> Router {
    passing_on(source, &["read.schema", "read.series", "read.cost", "read.scan"], unknown)
}

/// An owner that answers these calls and no others, and does not know some words of their questions.
fn passing_on(source: Arc<Shards>, calls: &[&'static str], unknown: &'static [&'static str]) -> Router {
    let inner = Arc::new(router(source, |work| work()));
    calls.iter().fold(Router::new(), |outer, &method| {
        let inner = Arc::clone(&inner);
        outer.on(method, move |mut head: serde_json::Value, body: Bytes| {
            let inner = Arc::clone(&inner);
            async move {
                let fields = head.as_object_mut().expect("a question");
                unknown.iter().for_each(|key| drop(fields.remove(*key)));
                let head = serde_json::to_vec(&head).expect("it was JSON");
                let reply = inner.answer(Call { method: method.into(), head: head.into(), body }).await?;
                let head = serde_json::from_slice::<serde_json::Value>(&reply.head);
                Ok((head.expect("an answer"), reply.body))
            }
        })
    })
}

#[test]
fn what_a_condition_refuses_does_not_travel() {
    let bench = Bench::new(shards(40, 2000, ALL_KNOWN, 5));
    let moved = |text: &str| bench.ask(text, |_| true, [Fails::Never; 2]).1;
    let all = moved("SELECT * FROM cpu");
    assert!(moved("SELECT * FROM cpu WHERE f > 1120") * 20 < all, "a hundredth of the rows");
    let means =
        "SELECT mean(f) FROM cpu WHERE i > 0 AND time >= 0 AND time < 1209600s GROUP BY time(1d), host";
    assert!(moved(means) * 20 < all, "statistics of the rows that satisfy it");
    assert!(moved("SELECT last(f) FROM cpu WHERE i > 0 GROUP BY host") * 100 < all, "a row of each series");
    assert!(
        moved("SELECT f FROM cpu WHERE i > 0 GROUP BY host LIMIT 2") * 50 < all,
        "two rows of each series"
    );
}

/// A tag is a constant of its series: what is left of the condition for each is told.
#[test]
fn a_condition_on_tags_or_fields_refuses_where_the_rows_are() {
    let bench = Bench::new(shards(40, 2000, ALL_KNOWN, 5));
    let moved = |text: &str| bench.ask(text, |_| true, [Fails::Never; 2]).1;
    let all = moved("SELECT * FROM cpu");
    let either = "(host = 'h7' OR f > 1120) AND (host != 'h7' OR f > 1100)";
    assert!(moved(&format!("SELECT * FROM cpu WHERE {either}")) * 20 < all, "a hundredth of the rows");
    let means = format!(
        "SELECT mean(f) FROM cpu WHERE {either} AND time >= 0 AND time < 1209600s GROUP BY time(1d), host"
    );
    assert!(moved(&means) * 20 < all, "statistics of the rows that satisfy it");
    assert!(
        moved("SELECT last(f) FROM cpu WHERE host = 'h7' OR i > 0 GROUP BY host") * 100 < all,
        "a row of each series"
    );
    // Each series has a condition of its own.
    assert!(moved("SELECT * FROM cpu WHERE host = s AND f > -1000") * 20 < all, "no row at all");
}

#[test]
fn what_descends_moves_no_more_than_what_ascends() {
    let bench = Bench::new(shards(40, 2000, ALL_KNOWN, 5));
    let moved = |text: &str| bench.ask(text, |_| true, [Fails::Never; 2]).1;
    for text in [
        "SELECT mean(f), count(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d), host",
        "SELECT max(f), sum(i) FROM cpu WHERE time >= 0 AND time < 1209600s GROUP BY time(1d)",
        "SELECT mean(f) FROM cpu WHERE i > 0 AND time >= 0 AND time < 1209600s GROUP BY time(1d)",
        "SELECT mean(f) FROM cpu GROUP BY host",
    ] {
        let (up, down) = (moved(text), moved(&format!("{text} ORDER BY time DESC")));
        assert!(down * 10 < up * 11, "{text}: {down} bytes where {up} suffice the other way round");
    }
}

#[test]
fn only_series_that_are_asked_about_are_told_of() {
    let bench = Bench::new(shards(3000, 1, ALL_KNOWN, 5));
    let moved = |text: &str| bench.ask(text, |_| true, [Fails::Never; 2]).1;
    let all = moved("SELECT count(f) FROM cpu");
    for text in [
        "SELECT f FROM cpu WHERE host = 'h17'",
        "SELECT mean(f) FROM cpu WHERE (host = 'h17' OR host =~ /^h18.$/) AND region != 'eu' GROUP BY host",
        "SELECT last(f) FROM cpu WHERE i < 5 AND host = 'h17'",
        "SHOW SERIES WHERE host = 'h17'",
    ] {
        let bytes = moved(text);
        assert!(bytes < 6000 && bytes * 4 < all, "{text}: {bytes} of {all} bytes");
    }
}

#[test]
fn who_takes_less_than_everything_gets_what_was_there_when_the_last_owner_failed_and_is_told() {
    let bench = Bench::new(shards(9, 700, ALL_KNOWN, 3));
    let source = |bench: &Bench| Arc::new(Shards(bench.shards.clone()));
    let partly = |text: &str, is_remote: fn(usize) -> bool, calls: u64| {
        let request = QueryRequest { allows_partial: true, ..QueryRequest::new(text, "db", 2 * WEEK) };
        let fails = [Fails::After(calls), Fails::Incomplete];
        let (answer, messages, _) =
            bench.ask_for(router(source(&bench), |work| work()), &request, is_remote, fails);
        (answer, messages)
    };
    for text in QUERIES.iter().filter(|text| text.starts_with("SELECT")) {
        let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
        for calls in [0, 1, 5, 9, u64::MAX] {
            let (answer, messages) = partly(text, |_| true, calls);
            assert!(!answer.contains("error"), "{text} after {calls} calls: {answer}");
            assert!(answer == expected || !messages.is_empty(), "{text} after {calls} calls lacks something");
            assert!(messages.iter().all(|it| it.starts_with("partial answer: shard ")), "{messages:?}");
            assert!(calls < u64::MAX || messages.is_empty(), "{text}: {messages:?}");
            if !text.contains('(') && !text.contains("LIMIT") {
                let lines: std::collections::HashSet<&str> = expected.lines().collect();
                assert!(
                    answer.lines().all(|line| lines.contains(line)),
                    "{text} after {calls} calls: {answer}"
                );
            }
        }
    }
    // What lies elsewhere, and nothing else, is lacking.
    let rest = Bench::new(bench.shards[1..].to_vec());
    let text = "SELECT count(f), sum(i) FROM cpu GROUP BY host";
    let (expected, _) = rest.ask(text, |_| false, [Fails::Never; 2]);
    let (answer, messages) = partly(text, |shard| shard == 0, 0);
    assert_eq!(answer, expected);
    assert_eq!(messages.len(), 1, "{messages:?}");
}

/// A shard whose series are known by what stands for them.
#[derive(Debug)]
struct Stamped {
    shard: Arc<dyn ShardRead>,
    stamp: SeriesStamp,
}

impl ShardRead for Stamped {
    fn time_range(&self) -> TimeRange {
        self.shard.time_range()
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.measurements()
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.shard.fields(measurement)
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_keys(measurement)
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_values(measurement, key)
    }

    fn series_stamp(&self) -> Option<SeriesStamp> {
        Some(self.stamp)
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        self.shard.select_series(measurement, predicate)
    }

    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)> {
        self.shard.series_tags(series)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.shard.series_key(series)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        self.shard.scanner(request)
    }
}

fn stamped(series: u64, stamp: u64) -> Vec<Arc<dyn ShardRead>> {
    let shards = shards(series, 3, ALL_KNOWN, 5).into_iter().zip(stamp..);
    let one = |(shard, stamp)| Arc::new(Stamped { shard, stamp: SeriesStamp([stamp, 0, 0]) }) as _;
    shards.map(one).collect()
}

/// Series are told of once, and again when there are others; what is remembered is never an answer of its own.
#[test]
fn series_that_are_remembered_are_not_told_again() {
    let mut bench = Bench::new(stamped(300, 10));
    let remote = |bench: &Bench, text: &str| bench.ask(text, |_| true, [Fails::Never; 2]);
    for text in [
        "SELECT count(f) FROM cpu GROUP BY host",
        "SELECT last(f) FROM cpu WHERE region = 'us' GROUP BY host",
    ] {
        let expected = bench.ask(text, |_| false, [Fails::Never; 2]).0;
        let (first, told) = remote(&bench, text);
        let (second, remembered) = remote(&bench, text);
        assert_eq!((&first, &second), (&expected, &expected), "{text}");
        assert!(remembered + 500 < told, "{text}: {told} bytes, then {remembered}");
    }
    let (_, values) = remote(&bench, "SHOW TAG VALUES WITH KEY = host");
    assert!(values < 2000, "{values} bytes for the values of series that are known");
    // There is another series, or there are fewer.
    for (series, stamp) in [(301, 20), (290, 30), (0, 40)] {
        bench.shards = stamped(series, stamp);
        for text in ["SELECT count(f) FROM cpu GROUP BY host", "SHOW TAG VALUES WITH KEY = host"] {
            let expected = bench.ask(text, |_| false, [Fails::Never; 2]).0;
            assert_eq!(remote(&bench, text).0, expected, "{text}, {series} series");
        }
    }
    // An owner of an earlier release does not know of it.
    bench.shards = stamped(300, 10);
    let text = "SELECT count(f) FROM cpu GROUP BY host";
    let expected = remote(&bench, text).0;
    let old = earlier(Arc::new(Shards(bench.shards.clone())), &["remembered"]);
    assert_eq!(bench.ask_of(old, text, |_| true, [Fails::Never; 2]).0, expected);
}

/// That nothing is new is told with the schema: then series that are remembered are not even asked for.
#[test]
fn series_that_are_as_they_were_are_not_asked_for() {
    let mut bench = Bench::new(stamped(300, 10));
    let mute = |bench: &Bench| {
        passing_on(Arc::new(Shards(bench.shards.clone())), &["read.schema", "read.scan"], &[])
    };
    let text = "SELECT last(f) FROM cpu WHERE region = 'us' GROUP BY host";
    let expected = bench.ask(text, |_| true, [Fails::Never; 2]).0;
    assert_eq!(bench.ask_of(mute(&bench), text, |_| true, [Fails::Never; 2]).0, expected);
    bench.shards = stamped(301, 20);
    let answer = bench.ask_of(mute(&bench), text, |_| true, [Fails::Never; 2]).0;
    assert!(answer.contains("error"), "there is another series, and nobody tells of it: {answer}");
}

/// The design's double-groupby-all, half of whose shards lie elsewhere.
#[test]
fn aggregates_move_states_and_not_rows() {
    let range = TimeRange::new(0, WEEK - 1);
    let measurement: Arc<str> = "cpu".into();
    let mut random = Random(5);
    let mut shards = Vec::new();
    let fields: Vec<Arc<str>> = (0..10).map(|field| format!("usage_{field}").into()).collect();
    for part in 0..2 {
        let mut shard = MemoryShard::new(range, 1000, ALL_KNOWN);
        for host in (0..1000).filter(|host| host % 2 == part) {
            let tags = [(Arc::from("hostname"), Arc::from(format!("host_{host}")))];
            let times: Vec<i64> = (0..1440).map(|row| row * 10 * SECOND).collect();
            let mut level = (random.next() % 100) as i64;
            let mut walk = || {
                level = (level + (random.next() % 3) as i64 - 1).clamp(0, 100);
                level as f64
            };
            let mut column =
                || Column { values: Values::Float((0..1440).map(|_| walk()).collect()), valid: None };
            let columns = fields.iter().map(|name| (Arc::clone(name), column())).collect();
            shard.add_series(&measurement, tags.into(), times, columns);
        }
        shards.push(Arc::new(shard) as Arc<dyn ShardRead>);
    }
    let bench = Bench::new(shards);
    let means: Vec<String> = fields.iter().map(|name| format!("mean({name})")).collect();
    let text = format!(
        "SELECT {} FROM cpu WHERE time >= 0 AND time < 14400s GROUP BY time(1h), hostname",
        means.join(", ")
    );
    let (expected, _) = bench.ask(&text, |_| false, [Fails::Never; 2]);
    let (answer, bytes) = bench.ask(&text, |shard| shard == 1, [Fails::Never; 2]);
    assert!(answer == expected, "answers differ");
    assert!(bytes < 2_000_000, "{bytes} bytes moved");
}
