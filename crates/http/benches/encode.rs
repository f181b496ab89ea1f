//! How fast results become bytes. The shape is the widest answer of the Time Series Benchmark Suite's cpu-only case
//! (high-cpu-all): every tag and field of 1,000 hosts, some 80,000 rows, about 19 MB of JSON.

use std::{hint::black_box, sync::Arc};

use divan::{Bencher, counter::BytesCount};
use skywatch_http::encode_results;
use skywatch_model::{Column, Values};
use skywatch_query::{OutputColumn, ResultSeries, StatementResult};

const ROWS: usize = 80_000;
const TAGS: [&str; 10] = [
    "arch",
    "datacenter",
    "hostname",
    "os",
    "rack",
    "region",
    "service",
    "service_environment",
    "service_version",
    "team",
];

fn main() {
    divan::main();
}

/// `digits` of a float decide on the work: whole numbers as the suite writes them, or all 17.
fn high_cpu_all(field: impl Fn(usize) -> Values) -> StatementResult {
    let mut columns: Vec<Arc<str>> = vec![Arc::from("time")];
    let mut values = vec![OutputColumn::Time(
        (0..ROWS as i64).map(|row| 1_451_606_400_000_000_000 + row * 10_000_000_000).collect(),
    )];
    let codes: Arc<[u32]> = (0..ROWS).map(|row| (row * 7 % 1_000) as u32).collect();
    for tag in TAGS {
        let dictionary = (0..1_000).map(|host| Some(Arc::from(format!("{tag}_{host}").as_str()))).collect();
        let codes = Arc::clone(&codes);
        columns.push(Arc::from(tag));
        values.push(OutputColumn::Coded { codes, dictionary });
    }
    for index in 0..10 {
        columns.push(Arc::from(format!("usage_{index}").as_str()));
        values.push(OutputColumn::Values(Column { values: field(index), valid: None }));
    }
    let series = ResultSeries {
        name: Arc::from("cpu"),
        tags: Arc::new([]),
        columns: columns.into(),
        values,
        partial: false,
    };
    StatementResult { series: vec![series], ..StatementResult::default() }
}

fn whole_numbers(index: usize) -> Values {
    Values::Float((0..ROWS).map(|row| ((row * 31 + index * 17) % 101) as f64).collect())
}

fn integers(index: usize) -> Values {
    Values::Integer((0..ROWS).map(|row| ((row * 31 + index * 17) % 101) as i64).collect())
}

fn all_digits(index: usize) -> Values {
    Values::Float((0..ROWS).map(|row| 100.0 / (3.0 + (row * 31 + index * 17) as f64)).collect())
}

fn bench(bencher: Bencher<'_, '_>, accept: &str, epoch: &str, result: &StatementResult) {
    let encode = |result| {
        let mut bytes = 0;
        let count = |part: Vec<u8>| {
            bytes += part.len();
            Ok(())
        };
        encode_results(accept, epoch, std::slice::from_ref(result), count).expect("everything is taken");
        bytes
    };
    bencher.counter(BytesCount::new(encode(result))).bench_local(|| encode(black_box(result)));
}

#[divan::bench]
fn json_whole_numbers(bencher: Bencher<'_, '_>) {
    bench(bencher, "application/json", "", &high_cpu_all(whole_numbers));
}

#[divan::bench]
fn json_integers_epoch_ms(bencher: Bencher<'_, '_>) {
    bench(bencher, "application/json", "ms", &high_cpu_all(integers));
}

#[divan::bench]
fn json_all_digits(bencher: Bencher<'_, '_>) {
    bench(bencher, "application/json", "", &high_cpu_all(all_digits));
}

#[divan::bench]
fn csv_whole_numbers(bencher: Bencher<'_, '_>) {
    bench(bencher, "text/csv", "", &high_cpu_all(whole_numbers));
}

#[divan::bench]
fn msgpack_whole_numbers(bencher: Bencher<'_, '_>) {
    bench(bencher, "application/x-msgpack", "", &high_cpu_all(whole_numbers));
}
