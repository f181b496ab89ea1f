//! How many metrics go through processors and aggregators in a second, on one core. `cargo bench -p skywatch-agent`;
//! 200,000 are wanted of the longest chain. The same runs once, small, under `cargo test --benches`.

use divan::{Bencher, counter::ItemsCount};
use skywatch_agent::{Config, metric::Metric, pipeline::Pipeline};

fn main() {
    divan::main();
}

/// Metrics handed in at once, as by an input with many series.
const BATCH: usize = 1000;
const SECOND: i64 = 1_000_000_000;

const RENAME: &str = "[[processors.rename]]\norder = 1\n[[processors.rename.replace]]\nmeasurement = 'disk'\ndest = 'volume'\n";
const SELECTED: &str = "[[processors.override]]\norder = 2\nnamepass = ['cp*']\nname_suffix = '_x'\n[processors.override.tags]\nsite = 'north'\n";
const CONVERTER: &str =
    "[[processors.converter]]\norder = 3\n[processors.converter.fields]\ninteger = ['usage_idle']\n";
const STRINGS: &str = "[[processors.strings]]\norder = 4\n[[processors.strings.uppercase]]\ntag = 'rack'\n";
const REGEX: &str = "[[processors.regex]]\norder = 5\n[[processors.regex.tags]]\nkey = 'host'\npattern = '^node-(\\d+)$'\nreplacement = '${1}'\n";
const STATISTICS: &str =
    "[[aggregators.basicstats]]\nperiod = '30s'\nstats = ['count', 'min', 'max', 'mean']\n";

fn metrics() -> Vec<Metric> {
    let metric = |at: usize| {
        Metric::new("cpu", 1_700_000_000 * SECOND)
            .tag("cpu", format!("cpu{}", at % 8))
            .tag("datacenter", "fra1")
            .tag("host", format!("node-{}", at / 8))
            .tag("rack", "r7")
            .field("usage_user", at as f64 / 7.0)
            .field("usage_system", 1.5)
            .field("usage_idle", 91.25)
            .field("usage_iowait", 0.0)
    };
    (0..BATCH).map(metric).collect()
}

fn bench(bencher: Bencher<'_, '_>, tables: &[&str]) {
    let text = format!("[agent]\n{}", tables.concat());
    let mut config = Config::parse(&text, "the benchmark").expect("a valid configuration");
    let now = 1_700_000_001 * SECOND;
    let mut pipeline = Pipeline::new(&mut config, now);
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(metrics).bench_local_values(|metrics| {
        out.clear();
        pipeline.apply(metrics, now, &mut out);
        assert_eq!(out.len(), BATCH);
    });
}

#[divan::bench]
fn nothing(bencher: Bencher<'_, '_>) {
    bench(bencher, &[]);
}

#[divan::bench]
fn one_processor(bencher: Bencher<'_, '_>) {
    bench(bencher, &[RENAME]);
}

#[divan::bench]
fn five_processors(bencher: Bencher<'_, '_>) {
    bench(bencher, &[RENAME, SELECTED, CONVERTER, STRINGS, REGEX]);
}

#[divan::bench]
fn one_aggregator(bencher: Bencher<'_, '_>) {
    bench(bencher, &[STATISTICS]);
}

#[divan::bench]
fn five_processors_and_an_aggregator(bencher: Bencher<'_, '_>) {
    bench(bencher, &[RENAME, SELECTED, CONVERTER, STRINGS, REGEX, STATISTICS]);
}
