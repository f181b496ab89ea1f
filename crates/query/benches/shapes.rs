//! The query shapes of the Time Series Benchmark Suite that weigh most, on shards in memory: what planning and
//! execution cost without storage.

use std::sync::Arc;

use divan::{Bencher, black_box};
use skywatch_model::{Column, TimeRange, Values};
use skywatch_query::{
    Administration, Backend, BackendError, CancelToken, DeleteRequest, Executor, Limits, MemoryShard,
    MemoryStatistics, NewRetentionPolicy, QueryRequest, Reading, RetentionPolicyInfo, RetentionPolicyUpdate,
    StatementResult,
};
use skywatch_storage::ShardRead;

const HOSTS: usize = 200;
const SECOND: i64 = 1_000_000_000;
const STEP_NS: i64 = 10 * SECOND;
/// Four hours, a row every ten seconds.
const ROWS: usize = 1440;
const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

#[derive(Debug)]
struct OneShard(Arc<dyn ShardRead>);

fn refuse<T>() -> Result<T, BackendError> {
    Err(BackendError::Unsupported("a benchmark"))
}

impl Administration for OneShard {}

impl Backend for OneShard {
    fn databases(&self) -> Result<Vec<String>, BackendError> {
        Ok(vec!["bench".to_owned()])
    }

    fn retention_policies(&self, _: &str) -> Result<Vec<RetentionPolicyInfo>, BackendError> {
        let (name, week) = ("autogen".to_owned(), 604_800 * SECOND);
        let policy = RetentionPolicyInfo {
            name,
            duration_ns: 0,
            shard_group_duration_ns: week,
            replica_n: 1,
            is_default: true,
        };
        Ok(vec![policy])
    }

    fn shards(
        &self,
        _: &str,
        _: &str,
        _: TimeRange,
        _: &Reading,
    ) -> Result<Vec<Arc<dyn ShardRead>>, BackendError> {
        Ok(vec![Arc::clone(&self.0)])
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

/// Percentages that walk up and down, as the suite's do.
fn walk(seed: u64) -> Values {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut level = (state % 100) as i64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        level = (level + (state % 3) as i64 - 1).clamp(0, 100);
        level as f64
    };
    Values::Float((0..ROWS).map(|_| next()).collect())
}

fn executor() -> Executor {
    let range = TimeRange::new(0, 604_800 * SECOND - 1);
    let statistics = MemoryStatistics { blocks: true, span_ns: 3600 * SECOND, end_rows: true };
    let mut shard = MemoryShard::new(range, 1000, statistics);
    let measurement = Arc::from("cpu");
    for host in 0..HOSTS {
        let tags = [
            (Arc::from("hostname"), Arc::from(format!("host_{host}"))),
            (Arc::from("rack"), Arc::from(format!("{}", host % 40))),
            (Arc::from("region"), Arc::from(["eu-central-1", "us-west-2", "ap-southeast-2"][host % 3])),
        ];
        let times = (0..ROWS as i64).map(|row| row * STEP_NS).collect();
        let columns = FIELDS.iter().enumerate().map(|(field, name)| {
            let values = walk((host * FIELDS.len() + field) as u64 + 1);
            (Arc::from(*name), Column { values, valid: None })
        });
        shard.add_series(&measurement, tags.into(), times, columns.collect());
    }
    Executor::new(Arc::new(OneShard(Arc::new(shard))), Limits::default())
}

/// Runs a query; returns the number of rows, so that an empty answer shows.
fn rows(executor: &Executor, query: &str) -> usize {
    let mut rows = 0;
    let request = QueryRequest::new(query, "bench", 604_800 * SECOND);
    executor
        .execute(&request, &CancelToken::new(), &mut |piece: StatementResult| {
            assert!(piece.error.is_none(), "{:?}", piece.error);
            rows += piece.series.iter().map(skywatch_query::ResultSeries::len).sum::<usize>();
            Ok(())
        })
        .expect("the query is valid");
    rows
}

const RANGE: &str = "time >= 0 AND time < 4h";

fn bench(bencher: Bencher<'_, '_>, query: &str, wanted_rows: Option<usize>) {
    let executor = executor();
    let count = rows(&executor, query);
    assert!(wanted_rows.map_or(count > 0, |wanted| count == wanted), "{count} rows");
    bencher.bench(|| rows(&executor, black_box(query)));
}

#[divan::bench]
fn double_groupby_all(bencher: Bencher<'_, '_>) {
    let means: Vec<String> = FIELDS.iter().map(|field| format!("mean({field})")).collect();
    let query = format!("SELECT {} FROM cpu WHERE {RANGE} GROUP BY time(1h), hostname", means.join(", "));
    bench(bencher, &query, Some(HOSTS * 4));
}

#[divan::bench]
fn double_groupby_1(bencher: Bencher<'_, '_>) {
    let query = format!("SELECT mean(usage_user) FROM cpu WHERE {RANGE} GROUP BY time(1h), hostname");
    bench(bencher, &query, Some(HOSTS * 4));
}

#[divan::bench]
fn single_groupby_1_1_1(bencher: Bencher<'_, '_>) {
    let query = "SELECT max(usage_user) FROM cpu WHERE hostname = 'host_9' AND time >= 0 AND time < 1h GROUP BY time(1m)";
    bench(bencher, query, Some(60));
}

#[divan::bench]
fn high_cpu_all(bencher: Bencher<'_, '_>) {
    bench(bencher, &format!("SELECT * FROM cpu WHERE usage_user > 90 AND {RANGE}"), None);
}

#[divan::bench]
fn lastpoint(bencher: Bencher<'_, '_>) {
    bench(bencher, "SELECT last(usage_user), * FROM cpu GROUP BY hostname", Some(HOSTS));
}

#[divan::bench]
fn count_over_everything_from_statistics(bencher: Bencher<'_, '_>) {
    bench(bencher, "SELECT count(usage_user), max(usage_idle), mean(usage_system) FROM cpu", Some(1));
}

fn main() {
    divan::main();
}
